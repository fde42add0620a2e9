//! Each end has a code of its own and a sentence that says why.

use reelmill_gst::{Ending, graph::order};

use crate::stage::{Ran, folder, graph, run, run_text, serve, source};

fn check(ran: &Ran, ending: Ending, words: &str) {
    assert_eq!(ran.code, Some(ending.code().into()), "{}", ran.complaint);
    assert!(ran.complaint.contains(words), "{}", ran.complaint);
}

#[test]
fn bytes_that_are_no_video_are_a_bad_source() {
    let path = folder().join("noise");
    std::fs::write(&path, vec![0x5a; 100_000]).expect("it can be written");
    check(&run(&graph(serve(&path))), Ending::BadSource, "error: ");
}

#[test]
fn a_playlist_is_a_bad_source_because_nothing_here_follows_it() {
    let path = folder().join("list.m3u8");
    std::fs::write(&path, "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
        .expect("it can be written");
    check(&run(&graph(serve(&path))), Ending::BadSource, "no track of the kind that was probed is in it");
}

#[test]
fn a_source_without_that_track_is_a_bad_source() {
    let clip = source("sound.mp4", "-f lavfi -i sine=duration=1");
    check(&run(&graph(serve(&clip))), Ending::BadSource, "error: ");
}

#[test]
fn a_server_that_is_not_there_is_no_fault_of_the_source() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/in/source", listener.local_addr().expect("it is bound"));
    drop(listener);
    check(&run(&graph(url)), Ending::SourceUnread, "source: ");
}

#[test]
fn elements_that_are_not_on_this_machine_are_named_with_their_plug_in() {
    let mut graph = graph("http://127.0.0.1:1/in/source".to_owned());
    graph.family = reelmill_gst::graph::Family::L4t;
    let ran = run(&graph);
    check(&ran, Ending::Missing, "nvv4l2decoder");
    check(&ran, Ending::Missing, "libgstnvvideo4linux2.so is in none of the plug-in folders");
}

#[test]
fn a_reader_that_goes_away_is_no_fault_of_the_source() {
    let clip = source("long.mp4", "-f lavfi -i testsrc2=size=320x180:rate=30000/1001:duration=4 -pix_fmt yuv420p");
    let order = order(&graph(serve(&clip))).expect("an order");
    // Standard input can be read, not written: to the sink it is a reader that is gone.
    let text = serde_json::to_string(&order).expect("plain data").replace("fd=3", "fd=0");
    check(&run_text(&text, 1), Ending::ReaderGone, "rung-0: ");
}

#[test]
fn an_order_that_cannot_be_read_is_our_own_fault() {
    check(&run_text("{\"pipeline\": 1}", 0), Ending::Bug, "cannot read the order on standard input: ");
    check(&run_text("", 0), Ending::Bug, "cannot read the order on standard input: ");
}
