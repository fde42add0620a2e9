-- Puts a message on a lane.
-- ARGV: id, priority, delay in ms, body, how long to remember the dedupe key in ms, [dedupe key]
-- Answers 1: stored; 0: the dedupe key was seen before. The caller draws the id, so that a call whose answer was lost
-- can be repeated.

local id, priority, delay, body = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local memory, dedupe_key = ARGV[5], ARGV[6]

if redis.call('EXISTS', message_key(id)) == 1 then return 1 end
unless_full()
if dedupe_key then
  local seen = key('seen:' .. dedupe_key)
  if not redis.call('SET', seen, id, 'NX', 'PX', memory) then
    return redis.call('GET', seen) == id and 1 or 0
  end
end
sweep()
store(id, body, priority, delay)
ring()
return 1
