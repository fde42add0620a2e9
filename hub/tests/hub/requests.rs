//! Who may ask, what is refused, and what the page is served with.

use http::{Method, StatusCode};

use crate::support::TestHub;

const JSON: (&str, &str) = ("content-type", "application/json");
const JOB: &[u8] = br#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn another_host_or_site_is_refused_and_nothing_changes() {
    let hub = TestHub::start().await;
    let own = hub.addresses.api.clone();
    let table: [(&[(&str, &str)], StatusCode); 7] = [
        (&[JSON, ("host", "evil.example")], StatusCode::FORBIDDEN),
        (&[JSON, ("origin", "http://evil.example")], StatusCode::FORBIDDEN),
        (&[JSON, ("origin", "null")], StatusCode::FORBIDDEN),
        (&[JSON, ("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN),
        (&[("content-type", "text/plain")], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&[], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&[JSON, ("origin", &own), ("sec-fetch-site", "same-origin")], StatusCode::CREATED),
    ];
    for (headers, want) in table {
        let answer = hub.send(Method::POST, "/v1/jobs", headers, JOB).await;
        assert_eq!(answer.status, want, "{headers:?}: {}", answer.text());
    }
    assert_eq!(hub.get("/v1/jobs").await.json()["jobs"].as_array().map(Vec::len), Some(1));
    let rebound = hub.send(Method::GET, "/v1/jobs", &[("host", "evil.example")], b"").await;
    assert_eq!(rebound.status, StatusCode::FORBIDDEN);
    let upload = hub.send(Method::PUT, "/v1/uploads/a.mp4", &[("origin", "http://evil.example")], b"x").await;
    assert_eq!(upload.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_job_is_told_what_is_wrong_with_it() {
    let hub = TestHub::start().await;
    let long = format!(r#"{{"input":"s3://media-ingest/{}","preset":"hls-ladder"}}"#, "a".repeat(70_000));
    let table = [
        ("{", 400, None, "smallest job"),
        (r#"{"input":"s3://media-ingest/a.mp4","preset":"hevc"}"#, 422, Some("/preset"), "hls-ladder"),
        (r#"{"input":"/etc/passwd","preset":"hls-ladder"}"#, 422, Some("/input"), "s3:// or file://"),
        (r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder","x":1}"#, 422, Some("/x"), "unknown field"),
        (long.as_str(), 413, None, "65536"),
    ];
    for (body, status, pointer, part) in table {
        let answer = hub.post(body).await;
        let problem = answer.json();
        assert_eq!((answer.status.as_u16(), problem["pointer"].as_str()), (status, pointer), "{problem}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.text().contains(part), "{problem}");
    }
    assert_eq!(hub.get("/v1/jobs").await.json()["jobs"].as_array().map(Vec::len), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_document() {
    let hub = TestHub::start().await;
    let table = [
        (Method::GET, "/v1/nothing", 404),
        (Method::GET, "/v1/jobs/0190cafe-0000-7000-8000-000000000001", 404),
        (Method::GET, "/v1/jobs/%3Cscript%3E", 404),
        (Method::GET, "/v1/jobs/0190cafe-0000-7000-8000-000000000001/events", 404),
        (Method::GET, "/v1/jobs/0190cafe-0000-7000-8000-000000000001/output/master.m3u8", 404),
        (Method::DELETE, "/v1/jobs", 405),
        (Method::GET, "/v1/uploads/a.mp4", 405),
    ];
    for (method, path, status) in table {
        let answer = hub.send(method, path, &[], b"").await;
        assert_eq!((answer.status.as_u16(), answer.json()["status"].as_u64()), (status, Some(status.into())), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.text().contains("<script>"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_come_with_a_strict_policy_and_all_they_load() {
    let hub = TestHub::start().await;
    let job = hub.submit().await;
    for path in ["/", &format!("/jobs/{}", job.id)] {
        let page = hub.get(path).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let html = page.text();
        assert!(!html.contains(" style=") && !html.contains(" onclick="), "nothing inline in {path}");
        let loaded = html.split('"').filter(|part| part.starts_with("/ui/"));
        for asset in loaded.chain(["/ui/words.js", "/ui/hls.min.js"]) {
            let answer = hub.get(asset).await;
            assert_eq!(answer.status, StatusCode::OK, "{asset}");
            assert!(answer.body.len() > 100, "{asset}");
        }
    }
    assert!(hub.get("/ui/hls.min.js").await.text().contains("Hls"));
    assert_eq!(hub.get("/jobs/none").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_which_part_is_ill() {
    let hub = TestHub::start().await;
    let well = hub.get("/v1/health").await;
    assert_eq!((well.status, well.json()["ok"].as_bool()), (StatusCode::OK, Some(true)), "{}", well.text());
    std::fs::remove_dir_all(hub.folder().join("store/media-output")).expect("the bucket's folder");
    let ill = hub.get("/v1/health").await;
    assert_eq!(ill.status, StatusCode::SERVICE_UNAVAILABLE);
    let parts = ill.json()["parts"].as_array().expect("parts").clone();
    let ill_parts: Vec<_> = parts.iter().filter(|p| p["ok"] == false).map(|p| p["name"].as_str()).collect();
    assert_eq!(ill_parts, [Some("store")]);
    assert!(ill.text().contains("media-output"), "{}", ill.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_are_listed() {
    let hub = TestHub::start().await;
    let presets = hub.get("/v1/presets").await.json();
    assert_eq!(presets["presets"][0]["name"], "hls-ladder");
}
