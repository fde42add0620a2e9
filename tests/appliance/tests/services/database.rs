//! PostgreSQL with what the module renders.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, eventually};

use crate::place::{Place, ran, tried};

/// The newest that Debian has here.
fn program(name: &str) -> Option<String> {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok).collect();
    versions.sort_by_key(fs::DirEntry::file_name);
    Some(versions.last()?.path().join("bin").join(name).display().to_string())
}

#[test]
fn postgresql_knows_its_own_by_the_systems_word_and_listens_to_no_network() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: needs root, to be the users of the database; sudo cargo xtask test");
        return;
    }
    let Some(initdb) = program("initdb") else {
        println!("SKIPPED: there is no PostgreSQL; apt-get install postgresql");
        return;
    };
    let place = Place::new();
    for user in ["postgres", "reelmill-hub"] {
        // There from an earlier time is as good.
        tried(Command::new("useradd").args(["--system", "--no-create-home", user]));
    }
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
    let as_user = |user: &str, words: &[&str]| {
        let mut command = Command::new("setpriv");
        let group = ran(Command::new("id").args(["-g", user]));
        command.args(["--reuid", user, "--regid", group.trim(), "--clear-groups"]).args(words).current_dir("/");
        command
    };
    let (data, socket) = (place.at("pg"), place.at("socket"));
    for folder in [&data, &socket] {
        fs::create_dir(folder).expect("ours");
        ran(Command::new("chown").args(["postgres:postgres", folder]));
    }
    ran(&mut as_user("postgres", &[&initdb, "-D", &data, "--auth=peer"]));
    let hba = place.golden("database/pg_hba.conf", &[]);
    let own = fs::read_to_string(Path::new(&data).join("postgresql.conf")).expect("initdb wrote it");
    let golden = reelmill_appliance::text("database/postgresql.conf");
    fs::write(Path::new(&data).join("postgresql.conf"), own + &golden).expect("ours");
    fs::copy(hba, Path::new(&data).join("pg_hba.conf")).expect("ours");

    let server = program("postgres").expect("as initdb");
    let mut server = as_user("postgres", &[&server, "-D", &data, "-k", &socket]);
    server.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running::start(server);
    let psql = |user: &str, database: &str, sql: &str| {
        tried(&mut as_user(user, &["psql", "-h", &socket, "-d", database, "-tA", "-v", "ON_ERROR_STOP=1", "-c", sql]))
    };
    eventually("postgresql", || psql("postgres", "postgres", "select 1").0.then_some(()));
    for statement in reelmill_appliance::text("database/setup.sql").lines() {
        let (good, _, errors) = psql("postgres", "postgres", statement);
        assert!(good, "{statement}: {errors}");
    }
    let (good, _, errors) = psql("reelmill-hub", "reelmill-hub", "create table t (n int)");
    assert!(good, "it owns its database: {errors}");
    let (good, listens, _) = psql("postgres", "postgres", "show listen_addresses");
    assert!(good && listens.trim().is_empty(), "{listens}");
    let stranger = as_user("nobody", &[])
        .args(["psql", "-h", &socket, "-U", "reelmill-hub", "-d", "reelmill-hub"])
        .arg("-c")
        .arg("select 1")
        .output();
    let stranger = stranger.expect("it runs");
    let errors = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(!stranger.status.success() && errors.contains("Peer authentication failed"), "{errors}");
    running.signal(rustix::process::Signal::INT);
    running.wait();
}
