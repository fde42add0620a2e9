//! Damaged clips, two hundred of them: each ends in whole output or in one clear sentence, soon, and touches nothing else.

use std::collections::HashMap;

use crate::{
    containers::clear,
    stage::{Stage, tiny},
};

const VARIANTS: u64 = 200;

/// Numbers that look random and are the same in every run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("less than a usize")
    }
}

/// The clip with a few bytes changed, more of them in its index than in its media.
fn damaged(clip: &[u8], index: usize, variant: u64) -> Vec<u8> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (variant + 1).wrapping_mul(0xd134_2543_de82_ef95));
    let mut clip = clip.to_vec();
    for _ in 0..[1, 2, 4, 8, 32][numbers.below(5)] {
        let at =
            if numbers.below(5) < 3 { index + numbers.below(clip.len() - index) } else { numbers.below(clip.len()) };
        clip[at] ^= if numbers.below(2) == 0 {
            1 << numbers.below(8)
        } else {
            u8::try_from(1 + numbers.below(255)).expect("a byte")
        };
    }
    if numbers.below(10) == 0 {
        clip.truncate(numbers.below(clip.len()));
    }
    clip
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_clips_end_whole_or_clearly() {
    let stage = Stage::start().await;
    let _ = stage.canary.touched();
    let clip = tiny(stage.farm.folder.path(), "clip.mp4");
    let index = clip.windows(4).position(|w| w == b"moov").expect("it has an index");
    let mut jobs = HashMap::new();
    for variant in 0..VARIANTS {
        let key = format!("damaged-{variant}.mp4");
        jobs.insert(stage.submit(&key, &damaged(&clip, index, variant)).await, key);
    }
    let (mut whole, mut refused) = (0, 0);
    for (key, end) in stage.ends(jobs).await {
        clear(&key, &end);
        *if end.is_ok() { &mut whole } else { &mut refused } += 1;
    }
    assert!(whole > 20 && refused > 20, "{whole} whole, {refused} refused: the damage is too much or too little");
    assert_eq!(stage.canary.touched(), Vec::<String>::new());
}
