//! The Lua scripts: each change of a lane is one of them, so that it happens whole or not at all.

use std::sync::LazyLock;

use redis::{Script, ScriptInvocation};
use reelmill_api::Lane;

macro_rules! scripts {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("common.lua"), include_str!($file))));)*
    };
}

scripts! {
    PUBLISH = "publish.lua",
    LEASE = "lease.lua",
    EXTEND = "extend.lua",
    ACK = "ack.lua",
    GIVE_BACK = "give_back.lua",
    BURY = "bury.lua",
    EXHUME = "exhume.lua",
    DEPTH = "depth.lua",
    EMIT = "emit.lua",
}

/// A call of `script` for `lane`, to which arguments are added.
pub(super) fn call(script: &'static Script, lane: &Lane) -> ScriptInvocation<'static> {
    let mut invocation = script.prepare_invoke();
    invocation.key(lane.as_str());
    invocation
}

/// The key of a lane's `part`, as `common.lua` spells it.
pub(super) fn key(lane: &Lane, part: &str) -> String {
    format!("{{{lane}}}:{part}")
}
