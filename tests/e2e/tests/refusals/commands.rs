//! `reelmill transcode`: exit 2 for wrong usage, 3 for a bad source, 1 for anything else.

use std::fs;

use reelmill_lab::{
    programs::Nobody,
    s3::{ACCESS_KEY, BUCKET},
};

use crate::{
    desk::{Desk, QUICK},
    sources,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_source_is_refused_with_code_3() {
    let desk = Desk::new().await;
    sources::make(&desk.path(""));
    for bad in sources::ALL {
        let source = desk.path(bad.name).display().to_string();
        let want = format!("error: cannot use file://DESK/{} as a source: {}\n", bad.name, bad.why);
        desk.check(&[&source, &desk.path("out/new/deep").display().to_string(), "--preset", QUICK], 3, &want);
    }
    desk.farm.upload(&desk.path("cut-index-first.mp4"), "in/cut.mp4");
    let cut = sources::ALL.iter().find(|bad| bad.name == "cut-index-first.mp4").expect("it is there");
    let (source, target) = (format!("s3://{BUCKET}/in/cut.mp4"), format!("s3://{BUCKET}/out"));
    let want = format!("error: cannot use s3://BUCKET/in/cut.mp4 as a source: {}\n", cut.why);
    desk.check(&[&source, &target, "--preset", QUICK], 3, &want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_there_is_named() {
    let desk = Desk::new().await;
    let out = desk.path("out/new").display().to_string();
    fs::create_dir(desk.path("folder")).expect("our folder");
    desk.check(
        &[&desk.path("none.mp4").display().to_string(), &out],
        1,
        "error: cannot use the source DESK/none.mp4: no such file or folder\n\
         hint: check the path; it begins at the current folder unless it begins with /\n",
    );
    desk.check(
        &[&desk.path("folder").display().to_string(), &out],
        1,
        "error: the source DESK/folder is a folder\nhint: name one video file\n",
    );
    desk.check(
        &[&format!("s3://{BUCKET}/none.mp4"), &out],
        1,
        "error: cannot read s3://BUCKET/none.mp4: no such object in bucket media-test\n\
         hint: list what is there with `aws --endpoint-url STORE s3 ls s3://BUCKET/`\n",
    );
    desk.check(
        &["s3://no-such-bucket/a.mp4", &out],
        1,
        "error: cannot read s3://no-such-bucket/a.mp4: the store at STORE has no bucket no-such-bucket\n\
         hint: check its spelling, or make it with `aws --endpoint-url STORE s3 mb s3://no-such-bucket`\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_used_is_named() {
    let desk = Desk::new().await;
    let (source, out) = (format!("s3://{BUCKET}/a.mp4"), desk.path("out/new").display().to_string());
    let words = [source.as_str(), &out];
    desk.check_with(
        &words,
        |c| {
            c.env("AWS_ACCESS_KEY_ID", "AKSOMEONE");
        },
        1,
        "error: cannot read s3://BUCKET/a.mp4: the store at STORE does not know access key AKSOMEONE\n\
         hint: check AWS_ACCESS_KEY_ID, and that S3_ENDPOINT_URL is the store it belongs to\n",
    );
    desk.check_with(
        &words,
        |c| { c.env("AWS_SECRET_ACCESS_KEY", "not-it"); },
        1,
        &format!(
            "error: cannot read s3://BUCKET/a.mp4: the secret key is not the one that the store at STORE has for access \
             key {ACCESS_KEY}\nhint: check AWS_SECRET_ACCESS_KEY\n"
        ),
    );
    let nobody = Nobody::there();
    let port = nobody.port();
    desk.check_with(
        &words,
        |c| { c.env("S3_ENDPOINT_URL", format!("http://127.0.0.1:{port}")); },
        1,
        &format!(
            "error: cannot read s3://BUCKET/a.mp4: cannot reach the store at http://127.0.0.1:{port}: connection refused\n\
             hint: is the store running, and is S3_ENDPOINT_URL right?\n"
        ),
    );
    desk.check_with(
        &words,
        |c| {
            c.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        },
        1,
        "error: cannot read s3://BUCKET/a.mp4: no S3 store is configured\n\
         hint: set S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_holds_something_else_is_left_alone() {
    let desk = Desk::new().await;
    let clip = reelmill_lab::media::clip().display().to_string();
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n";
    fs::write(desk.path("out/master.m3u8"), master).expect("our folder");
    fs::write(desk.farm.store.folder.join("master.m3u8"), master).expect("our folder");
    let why = "already holds the published output of another program\n\
               hint: choose another destination, or remove what is there\n";
    let out = desk.path("out").display().to_string();
    desk.check(&[&clip, &out, "--preset", QUICK], 1, &format!("error: file://DESK/out {why}"));
    let bucket = format!("s3://{BUCKET}");
    desk.check(&[&clip, &bucket, "--preset", QUICK], 1, &format!("error: s3://BUCKET/ {why}"));
    let file = desk.path("out/master.m3u8").display().to_string();
    desk.check(
        &[&clip, &file],
        1,
        "error: the destination DESK/out/master.m3u8 is no folder\n\
         hint: name a folder; it is created if it is not there\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_word_or_setting_is_named() {
    let desk = Desk::new().await;
    let (clip, out) = (reelmill_lab::media::clip().display().to_string(), desk.path("out/new").display().to_string());
    desk.check(
        &[&clip, &out, "--preset", "nope"],
        1,
        "error: there is no preset `nope`\nhint: known presets: archive-dnxhr, archive-prores, hls-ladder, hls-ladder-4k, hls-ladder-av1, hls-ladder-hevc, live-hls, \
         proxy, quick, social-square, social-vertical\n",
    );
    let file = desk.path("worker.toml");
    fs::write(&file, "concurrency = 2\n\n[store]\nendpont = \"http://hub:9000\"\n").expect("our folder");
    desk.check(
        &[&clip, &out, "--config", &file.display().to_string()],
        1,
        "error: DESK/worker.toml:4:1: unknown key `endpont`; known are `endpoint`, `region`, `path_style`, \
         `access_key`, `secret_key`, `session_token`, `ca_file`, `input_bucket`, `output_bucket`, `stall_seconds`\n",
    );
    let (code, said) = desk.transcode(&["http://host/a.mp4", &out], |_| ());
    assert_eq!(code, Some(2));
    assert!(said.contains("`http://host/a.mp4` is not a location: it must start with s3:// or file://"), "{said}");
}
