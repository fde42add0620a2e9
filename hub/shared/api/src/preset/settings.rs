//! What a job changes in its preset.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Preset;

/// Changes to a preset for one job: a JSON merge patch (RFC 7396) of the preset's own keys. Lists are replaced whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(Map<String, Value>);

/// Keys that a job does not change: whose preset it is, and where it may run.
const FIXED: [&str; 3] = ["name", "description", "requires"];

impl Settings {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Preset {
    /// The preset with a job's changes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn with(&self, settings: &Settings) -> Result<Self, String> {
        if settings.is_empty() {
            return Ok(self.clone());
        }
        if let Some(key) = FIXED.iter().find(|key| settings.0.contains_key(**key)) {
            return Err(format!("a job cannot change the {key} of a preset"));
        }
        let mut document = serde_json::to_value(self).map_err(|e| e.to_string())?;
        merge(&mut document, &Value::Object(settings.0.clone()));
        serde_json::from_value(document).map_err(|e| e.to_string())
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
