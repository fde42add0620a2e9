//! Subtitles and storyboards of ladders: what a source says is shown at its time and cannot hurt a page, no track ever
//! costs the picture, and every small picture is the frame that the index claims.

mod board;
mod hostile;
mod stage;
mod vtt;
mod words;
