//! `PUT /v1/uploads/{name}`: a source from the page or the command line into the bucket of sources, as it comes.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    response::IntoResponse,
};
use futures::StreamExt;
use http::StatusCode;
use reelmill_api::{Location, problem::Problem};
use reelmill_storage::Upload;
use serde::Serialize;
use uuid::Uuid;

use super::{App, json, problem::Refusal};

/// The longest name kept, in bytes. With the folder before it the key stays below what the embedded store can name.
const LONGEST_NAME: usize = 72;
/// The longest ending kept when a name is cut.
const LONGEST_ENDING: usize = 10;
/// A client that sends nothing for so long is gone.
const IDLE: Duration = Duration::from_secs(60);
/// Sources are opened by what they hold, never by what someone calls them.
const CONTENT_TYPE: &str = "application/octet-stream";

#[derive(Serialize)]
struct Uploaded {
    location: Location,
    bytes: u64,
}

/// Stores the body under a new folder of its own. A body that breaks off leaves nothing.
pub(super) async fn store(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<impl IntoResponse, Refusal> {
    let key = format!("{}/{}", Uuid::now_v7(), safe_name(&name));
    let place = app.upload_place(&key).map_err(|e| Refusal::failed("name the upload", &e))?;
    let cannot = |e: &dyn std::fmt::Display| Refusal::store("take the upload", e);
    let mut upload = app.storage.create(&place, CONTENT_TYPE).await.map_err(|e| cannot(&e))?;
    if let Err(refusal) = copy(body, &mut upload).await {
        upload.abort().await;
        return Err(refusal);
    }
    let stored = upload.finish().await.map_err(|e| cannot(&e))?;
    log::info!("uploaded {place}, {} bytes", stored.bytes);
    Ok((StatusCode::CREATED, json(&Uploaded { location: place, bytes: stored.bytes })))
}

async fn copy(body: Body, upload: &mut Upload) -> Result<(), Refusal> {
    let mut chunks = body.into_data_stream();
    loop {
        let chunk = tokio::time::timeout(IDLE, chunks.next()).await.map_err(|_| broke_off("it stalled"))?;
        match chunk {
            Some(Ok(chunk)) => upload.write(chunk).await.map_err(|e| Refusal::store("take the upload", &e))?,
            Some(Err(e)) => return Err(broke_off(&e.to_string())),
            None => return Ok(()),
        }
    }
}

fn broke_off(why: &str) -> Refusal {
    Problem::new(400, "upload-broke-off", "the upload broke off", format!("nothing was stored: {why}"))
        .hint("send it again")
        .into()
}

/// The name as part of a key: letters and digits of any script, `.`, `-` and `_`, the rest as `_`; not too long, with
/// its ending kept; never hidden, empty or a way up.
fn safe_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        return "source".to_owned();
    }
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() <= LONGEST_ENDING { ending } else { "" };
    let mut cut = LONGEST_NAME - ending.len();
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{ending}", &name[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_becomes_a_plain_one() {
        let table = [
            ("film.mp4", "film.mp4"),
            ("My Film (1).MOV", "My_Film__1_.MOV"),
            ("Fjällräven 日本.mp4", "Fjällräven_日本.mp4"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "source"),
            ("", "source"),
            (".hidden", "hidden"),
            ("a/b\\c\0d\ne", "a_b_c_d_e"),
            ("<script>alert(1)</script>", "_script_alert_1___script_"),
            ("a?b#c%2e", "a_b_c_2e"),
        ];
        for (name, want) in table {
            assert_eq!(safe_name(name), want, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_ending() {
        for name in [format!("{}.mp4", "x".repeat(500)), format!("{}.mp4", "日".repeat(500))] {
            let safe = safe_name(&name);
            assert!(safe.len() <= LONGEST_NAME && safe.ends_with(".mp4"), "{safe}");
        }
        assert_eq!(safe_name(&format!("a.{}", "x".repeat(500))).len(), LONGEST_NAME);
    }
}
