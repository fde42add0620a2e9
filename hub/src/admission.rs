//! Whether a submitted job is taken, and what it becomes: a pure function of the request and the farm's terms.

use reelmill_api::{
    JobId, JobRequest, JobState, Location, Preset, PresetName, S3Location, Task,
    job::Job,
    layout,
    preset::{Presets, Settings},
    problem::Problem,
};

/// What the farm offers.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The recipes it knows.
    pub presets: Presets,
    /// Where output goes unless the request says otherwise.
    pub output_bucket: String,
}

/// The smallest body that is a job, for hints.
const SMALLEST: &str = r#"the smallest job is {"input":"s3://bucket/key","preset":"hls-ladder"}"#;

/// A job and its task from the body of a request. `drawn` is its id unless the client names one.
///
/// # Errors
/// What is wrong, with a pointer to the bad field.
pub fn admit(body: &[u8], terms: &Terms, drawn: JobId, now: &str) -> Result<(Job, Task), Box<Problem>> {
    let request = parse(body, &terms.presets)?;
    let preset = known_preset(&request.preset, &terms.presets)?;
    settings_fit(preset, &request.settings)?;
    source_sane(&request.input)?;
    source_fits(&request.input, preset)?;
    if request.output.as_ref().is_some_and(Location::is_live) {
        return Err(bad_place("/output", "output goes to a store, not to a live address").into());
    }
    let id = request.id.unwrap_or(drawn);
    let output = match &request.output {
        Some(output) => output.clone(),
        None => default_output(terms, &id)?,
    };
    let job = Job {
        id,
        state: JobState::Queued,
        input: request.input.clone(),
        output: output.clone(),
        preset: request.preset.clone(),
        priority: request.priority,
        created_at: now.to_owned(),
        updated_at: now.to_owned(),
        attempt: 0,
        progress: None,
        failure: None,
        report: None,
    };
    Ok((job, Task::of(id, JobRequest { output: Some(output), ..request })))
}

fn known_preset<'a>(name: &PresetName, presets: &'a Presets) -> Result<&'a Preset, Box<Problem>> {
    presets.get(name).ok_or_else(|| {
        Problem::new(422, "unknown-preset", "unknown preset", format!("no preset is named `{name}`"))
            .pointer("/preset")
            .hint(preset_hint(presets))
            .into()
    })
}

fn settings_fit(preset: &Preset, settings: &Settings) -> Result<(), Box<Problem>> {
    preset.with(settings).map(drop).map_err(|why| {
        let detail = format!("the settings do not fit preset {}: {why}", preset.name);
        Problem::new(422, "bad-settings", "settings that do not fit the preset", detail)
            .pointer("/settings")
            .hint("settings use the preset's own keys and values: GET /v1/presets shows them")
            .into()
    })
}

fn source_sane(input: &Location) -> Result<(), Box<Problem>> {
    match input {
        Location::S3(at) if at.key().is_empty() || at.key().ends_with('/') => {
            Err(Problem::new(422, "bad-location", "bad location", format!("`{input}` names a folder, not an object"))
                .pointer("/input")
                .hint("name one object, e.g. s3://bucket/folder/film.mp4")
                .into())
        }
        Location::S3(_) | Location::File(_) | Location::Stream(_) => Ok(()),
    }
}

fn source_fits(input: &Location, preset: &Preset) -> Result<(), Box<Problem>> {
    let problem = match (input.is_live(), preset.is_live()) {
        (true, false) => bad_place("/preset", &format!("preset {} is for files, and the input is live", preset.name))
            .hint("choose live-hls for a live source"),
        (false, true) => {
            bad_place("/input", &format!("preset {} is for live sources, and this one is a file", preset.name))
                .hint("give an srt://, rtmp:// or rtsp:// address, or choose hls-ladder for files")
        }
        _ => return Ok(()),
    };
    Err(problem.into())
}

fn bad_place(pointer: &str, why: &str) -> Problem {
    Problem::new(422, "bad-location", "bad location", why).pointer(pointer)
}

fn default_output(terms: &Terms, id: &JobId) -> Result<Location, Box<Problem>> {
    S3Location::new(&terms.output_bucket, &layout::default_output(id)).map(Location::S3).map_err(|e| {
        Problem::new(500, "bad-output-bucket", "the hub's output bucket cannot be used", e.to_string())
            .hint("set OUTPUT_BUCKET to a bucket's name")
            .into()
    })
}

fn parse(body: &[u8], presets: &Presets) -> Result<JobRequest, Box<Problem>> {
    // serde would also take the fields of a struct in order, as a list.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(bad_job("a job is a JSON object, this is a list").pointer("").into());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let request = serde_path_to_error::deserialize(&mut json).map_err(|e| refused(&e, presets))?;
    json.end().map_err(|e| not_json(&e))?;
    Ok(request)
}

fn not_json(e: &serde_json::Error) -> Problem {
    Problem::new(400, "not-json", "the body is not JSON", e.to_string()).hint(SMALLEST)
}

fn refused(error: &serde_path_to_error::Error<serde_json::Error>, presets: &Presets) -> Problem {
    let cause = error.inner();
    if !cause.is_data() {
        return not_json(cause);
    }
    let detail = without_place(&cause.to_string());
    let field = match error.path().iter().next() {
        Some(serde_path_to_error::Segment::Map { key }) => Some(key.clone()),
        _ => None,
    };
    // serde names a missing or doubled field only in its message.
    let field = field.or_else(|| detail.split('`').nth(1).filter(|_| detail.contains("field")).map(str::to_owned));
    let hint = field.as_deref().and_then(|field| field_hint(field, presets));
    let problem = bad_job(detail);
    let problem = if let Some(hint) = hint { problem.hint(hint) } else { problem };
    // The empty pointer is the whole body.
    problem.pointer(field.map(|field| pointer(&field)).unwrap_or_default())
}

fn field_hint(field: &str, presets: &Presets) -> Option<String> {
    let hint = match field {
        "input" => {
            "write it like s3://bucket/folder/film.mp4 or file:///folder/film.mp4, live ones like srt://host:9000"
        }
        "output" => "write it like s3://bucket/folder/, or leave it out",
        "priority" => "take low, normal or high, or leave it out",
        "id" => "take a UUID, or leave it out and one is drawn",
        "preset" => return Some(preset_hint(presets)),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn preset_hint(presets: &Presets) -> String {
    let names: Vec<_> = presets.names().into_iter().map(PresetName::as_str).collect();
    format!("presets here: {}", names.join(", "))
}

fn bad_job(detail: impl Into<String>) -> Problem {
    Problem::new(422, "bad-job", "the job cannot be taken as written", detail).hint(SMALLEST)
}

/// serde_json's message without its `at line 1 column 2`, which helps nobody who sent one line.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text).to_owned()
}

/// A JSON pointer (RFC 6901) to a field of the body.
fn pointer(field: &str) -> String {
    format!("/{}", field.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn terms() -> Terms {
        Terms { presets: Presets::built_in(), output_bucket: "media-output".to_owned() }
    }

    fn admit_text(body: &str) -> Result<(Job, Task), Box<Problem>> {
        admit(body.as_bytes(), &terms(), JobId::new(Uuid::nil()), "2025-01-02T03:04:05.000Z")
    }

    #[test]
    fn the_smallest_job_gets_its_place_in_the_output_bucket() {
        let (job, task) = admit_text(r#"{"input":"s3://media-ingest/a.mp4","preset":"hls-ladder"}"#).expect("a job");
        let place = "s3://media-output/00000000-0000-0000-0000-000000000000/";
        assert_eq!(job.output.to_string(), place);
        assert_eq!(task.output.map(|o| o.to_string()).as_deref(), Some(place));
        assert_eq!((job.state, job.attempt, task.job), (JobState::Queued, 0, job.id));
    }

    #[test]
    fn a_live_source_goes_with_a_live_preset() {
        let (job, task) = admit_text(r#"{"input":"srt://cam:9000?mode=listener","preset":"live-hls"}"#).expect("a job");
        assert_eq!((job.input.to_string().as_str(), task.input), ("srt://cam:9000?mode=listener", job.input));
    }

    #[test]
    fn a_client_may_name_the_id_and_the_place() {
        let body = r#"{"id":"0190cafe-0000-7000-8000-000000000001","input":"file:///srv/a.mp4","preset":"hls-ladder",
                       "output":"s3://films/out/","priority":"high"}"#;
        let (job, task) = admit_text(body).expect("a job");
        assert_eq!(job.id.to_string(), "0190cafe-0000-7000-8000-000000000001");
        assert_eq!((job.output.to_string().as_str(), task.priority), ("s3://films/out/", job.priority));
    }

    /// `status pointer` of the refusal, and a part of what it says.
    fn check(body: &str, want: &str, part: &str) {
        let problem = admit_text(body).expect_err(body);
        let got = format!("{} {}", problem.status, problem.pointer.as_deref().unwrap_or("-"));
        assert_eq!(got, want, "{body}: {problem:?}");
        let says = format!("{} {}", problem.detail, problem.hint.unwrap_or_default());
        assert!(says.contains(part), "{body}: {says}");
    }

    #[test]
    fn a_job_that_cannot_be_is_refused_with_a_pointer_and_a_hint() {
        let with = |input: &str, preset: &str, more: &str| format!(r#"{{"input":{input},"preset":{preset}{more}}}"#);
        let (input, preset) = (r#""s3://media-ingest/a.mp4""#, r#""hls-ladder""#);
        check("", "400 -", "smallest job");
        check("{", "400 -", "smallest job");
        check("not json", "400 -", "expected");
        check(&format!("{} x", with(input, preset, "")), "400 -", "trailing");
        check("[]", "422 ", "this is a list");
        check(r#" ["s3://media-ingest/a.mp4","hls-ladder",null,"high",null]"#, "422 ", "this is a list");
        check(r#""hls-ladder""#, "422 ", "expected");
        check("{}", "422 /input", "missing field");
        check(r#"{"input":"s3://media-ingest/a.mp4"}"#, "422 /preset", "missing field");
        check(&with(input, r#""hevc-ladder""#, ""), "422 /preset", "presets here: archive-dnxhr");
        check(&with(input, r#""../../etc""#, ""), "422 /preset", "cannot name a preset");
        check(&with(input, r#""HLS""#, ""), "422 /preset", "presets here: archive-dnxhr");
        check(&with(input, "7", ""), "422 /preset", "expected");
        check(&with(r#""srt://h:9000""#, preset, ""), "422 /preset", "live-hls");
        check(&with(input, r#""live-hls""#, ""), "422 /input", "srt://");
        check(&with(r#""srt://h:9000?passphrase=0123456789""#, r#""live-hls""#, ""), "422 /input", "not taken");
        check(&with(r#""srt://h:9000""#, r#""live-hls""#, r#","output":"rtmp://h/x""#), "422 /output", "live address");
        check(&with(r#""/etc/passwd""#, preset, ""), "422 /input", "s3:// or file://");
        check(&with(r#""http://169.254.169.254/""#, preset, ""), "422 /input", "s3:// or file://");
        check(&with(r#""s3://media-ingest/../a""#, preset, ""), "422 /input", "`..`");
        check(&with(r#""s3://media-ingest/""#, preset, ""), "422 /input", "names a folder");
        check(&with(r#""s3://media-ingest""#, preset, ""), "422 /input", "names a folder");
        check(&with(r#""file:///mnt/../etc/passwd""#, preset, ""), "422 /input", "absolute");
        check(&with(input, preset, r#","output":"s3://X/""#), "422 /output", "no valid bucket");
        check(&with(input, preset, r#","pirority":"high""#), "422 /pirority", "unknown field");
        check(&with(input, preset, r#","a/b~c":1"#), "422 /a~1b~0c", "unknown field");
        check(&with(input, preset, r#","priority":"urgent""#), "422 /priority", "take low, normal or high");
        check(&with(input, preset, r#","id":"1; DROP TABLE jobs""#), "422 /id", "UUID");
        check(&with(input, preset, r#","preset":"hls-ladder""#), "422 /preset", "duplicate field");
        check(&with(&"[".repeat(500), preset, ""), "422 /input", "expected");
    }
}
