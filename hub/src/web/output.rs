//! `GET /v1/jobs/{id}/output/...`: the published files of a job, for the page's player. Only what the published
//! attempt owns.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reelmill_api::{AttemptId, Location, job::Job, layout, problem::Problem};
use reelmill_storage::{StorageError, Version};

use super::{
    App, jobs,
    problem::Refusal,
    range::{Wanted, wanted},
};

/// What a browser must not do with a file that somebody's source became: run it.
const INERT: &str = "default-src 'none'; sandbox";
/// An attempt's folder is never written again.
const FOR_EVER: &str = "private, max-age=86400, immutable";
/// The files beside it are looked at anew each time.
const ASK_AGAIN: &str = "no-cache";

/// A live job's playlists are replaced every few seconds, so they are read whole and at once: one that was replaced between
/// two reads would break off in the middle. They are some kilobytes.
const LARGEST_CHANGING: usize = 4 << 20;

/// Sends a file, or the part of it that is asked for.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    Path((id, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let job = jobs::find(&app, &id).await?;
    let place = published(&job, &path).ok_or_else(|| no_such_file(&job))?;
    let refused = |e: StorageError| match e {
        StorageError::NotFound { .. } => no_such_file(&job),
        e => Refusal::store("find the file", &e),
    };
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let known = |etag: &str| text(header::IF_NONE_MATCH).is_some_and(|known| matches(known, etag));
    if job.input.is_live() && !is_attempts_own(&path) {
        let (bytes, version) = app.storage.get_small(&place, LARGEST_CHANGING).await.map_err(refused)?;
        let etag = etag(&version);
        if known(&etag) {
            return Ok((StatusCode::NOT_MODIFIED, common(&path, etag)).into_response());
        }
        return Ok((common(&path, etag), bytes).into_response());
    }
    let info = app.storage.head(&place).await.map_err(refused)?;
    let etag = etag(&info.version);
    if known(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, common(&path, etag)).into_response());
    }
    let same = text(header::IF_RANGE).is_none_or(|known| known == etag);
    let range = text(header::RANGE).filter(|_| same);
    Ok(match wanted(range, info.bytes) {
        Wanted::Whole => {
            let body = body(&app, &place, &info, 0..info.bytes);
            (common(&path, etag), length(info.bytes), body).into_response()
        }
        Wanted::Part { start, end } => {
            let body = body(&app, &place, &info, start..end);
            let which = format!("bytes {start}-{}/{}", end - 1, info.bytes);
            let headers = (common(&path, etag), length(end - start), [(header::CONTENT_RANGE, which)]);
            (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
        }
        Wanted::Unsatisfiable => {
            let size = [(header::CONTENT_RANGE, format!("bytes */{}", info.bytes))];
            (StatusCode::RANGE_NOT_SATISFIABLE, size).into_response()
        }
    })
}

fn body(app: &App, place: &Location, info: &reelmill_storage::ObjectInfo, range: Range<u64>) -> Body {
    if range.is_empty() { Body::empty() } else { Body::from_stream(app.storage.read(place, info, range)) }
}

fn no_such_file(job: &Job) -> Refusal {
    let problem = Problem::new(404, "not-found", "not found", "the job has no such file");
    let hint = if job.report.is_some() {
        "its report says what it has: reelmill.json"
    } else {
        "a job has files when it is done"
    };
    problem.hint(hint).into()
}

/// Where a published file of the job lies; `None` for anything that is not one: a job that is not done, another
/// attempt's folder, a way up.
fn published(job: &Job, path: &str) -> Option<Location> {
    if job.input.is_live() {
        let shown = layout::is_live_output(path) && !path.contains('\\');
        return shown.then(|| job.output.join(path).ok()).flatten();
    }
    let attempt = layout::attempt_folder(&job.report.as_ref()?.attempt);
    let top = matches!(path, layout::MASTER_PLAYLIST | layout::MANIFEST | layout::REPORT);
    let own = path.strip_prefix(&attempt).is_some_and(|rest| rest.starts_with('/') && !rest.ends_with('/'));
    if !top && !own || path.contains('\\') {
        return None;
    }
    job.output.join(path).ok()
}

/// The version as an entity tag: what it may not hold is left out.
fn etag(version: &Version) -> String {
    let plain: String = version.as_str().chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect();
    format!("\"{plain}\"")
}

fn matches(known: &str, etag: &str) -> bool {
    known == "*" || known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// Whether it lies in an attempt's folder.
fn is_attempts_own(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, _)| folder.parse::<AttemptId>().is_ok())
}

fn common(path: &str, etag: String) -> [(HeaderName, HeaderValue); 5] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(layout::content_type(path))),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CACHE_CONTROL, HeaderValue::from_static(if is_attempts_own(path) { FOR_EVER } else { ASK_AGAIN })),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(INERT)),
        (header::ETAG, HeaderValue::try_from(etag).expect("only visible ASCII")),
    ]
}

fn length(bytes: u64) -> [(HeaderName, HeaderValue); 1] {
    [(header::CONTENT_LENGTH, HeaderValue::from(bytes))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn check(path: &str, want: Option<&str>) {
        let mut job = sample::job();
        assert_eq!(published(&job, path), None, "{path} before the job is done");
        job.report = Some(sample::report(&job));
        let got = published(&job, path).map(|place| place.to_string());
        let want = want.map(|rest| format!("{}{rest}", job.output));
        assert_eq!(got, want, "{path}");
    }

    #[test]
    fn only_files_of_the_published_attempt_are_shown() {
        check("master.m3u8", Some("master.m3u8"));
        check("manifest.mpd", Some("manifest.mpd"));
        check("reelmill.json", Some("reelmill.json"));
        check("a1-00000007/720p/seg_00000.m4s", Some("a1-00000007/720p/seg_00000.m4s"));
        check("a1-00000007/archive-prores.mov", Some("a1-00000007/archive-prores.mov"));
        for path in [
            "",
            "/",
            "a1-00000007",
            "a1-00000007/",
            "a1-00000007/720p/",
            "a2-00000008/720p/seg_00000.m4s",
            "a1-000000070/x",
            "other.json",
            "../x/master.m3u8",
            "a1-00000007/../../master.m3u8",
            "a1-00000007/../a2-00000008/720p/seg_00000.m4s",
            "a1-00000007/./x",
            "a1-00000007//x",
            "/master.m3u8",
            "a1-00000007/..\\x",
            "a1-00000007/a\nb",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn files_of_a_live_job_are_shown_while_it_runs() {
        let mut job = sample::job();
        job.input = "srt://cam:9000".parse().expect("a literal");
        let shown = |path: &str| published(&job, path).is_some();
        assert!(shown("master.m3u8") && shown("720p/index.m3u8") && shown("a1-00000007/s1/720p/seg_00000.m4s"));
        for path in ["live.json", "stop", "a1-00000007/s1/../x", "../master.m3u8", "720p/..\\index.m3u8", ""] {
            assert!(!shown(path), "{path}");
        }
        let kept = |path: &str| common(path, "\"x\"".to_owned())[2].1.clone();
        assert_eq!(
            (kept("720p/index.m3u8"), kept("a1-00000007/s1/a/b")),
            (ASK_AGAIN.parse().expect("text"), FOR_EVER.parse().expect("text"))
        );
    }

    #[test]
    fn an_entity_tag_holds_only_what_it_may() {
        assert_eq!(etag(&Version::new("\"abc-2\"")), "\"abc-2\"");
        assert_eq!(etag(&Version::new("1 2\r\nx: y")), "\"12x:y\"");
        assert!(matches("W/\"a\", \"b\"", "\"b\"") && matches("*", "\"b\"") && !matches("\"c\"", "\"b\""));
    }
}
