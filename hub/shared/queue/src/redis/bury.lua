-- Takes a message out of delivery and keeps it as a dead letter.
-- ARGV: id, nonce, name of this call, reason
-- Answers 1, or 0: the lease was lost.

local id, nonce, call, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not holds(id, nonce) then return was_done(call) end
local message = redis.call('HMGET', message_key(id), 'body', 'attempts', 'priority')
even_if_full()
redis.call('XADD', key('dead'), '*', 'id', id, 'body', message[1], 'reason', reason, 'attempts', message[2],
  'priority', message[3])
forget(id)
return done(call)
