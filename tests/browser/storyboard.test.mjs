import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pictures } from '../../hub/ui/storyboard.js';

test('the page reads the index of small pictures', () => {
  const index = 'WEBVTT\n\n00:00:00.000 --> 00:00:05.005\nsheet_00000.jpg#xywh=0,0,160,90\n\n01:00:05.005 --> 01:00:05.300\nsheet_00001.jpg#xywh=160,90,160,90\n';
  assert.deepEqual(pictures(index), [
    { start: 0, end: 5.005, sheet: 'sheet_00000.jpg', x: 0, y: 0, width: 160, height: 90 },
    { start: 3605.005, end: 3605.3, sheet: 'sheet_00001.jpg', x: 160, y: 90, width: 160, height: 90 },
  ]);
});

test('what is no picture is passed over', () => {
  for (const index of ['', 'WEBVTT\n', 'WEBVTT\n\nno times\n', 'WEBVTT\n\n00:00:02.000 --> 00:00:01.000\na.jpg#xywh=0,0,1,1\n']) {
    assert.deepEqual(pictures(index), []);
  }
});
