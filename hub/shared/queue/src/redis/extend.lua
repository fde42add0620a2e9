-- Makes a lease hold for longer.
-- ARGV: id, nonce, how long from now in ms
-- Answers 1, or 0: the lease was lost.

local id, nonce, lasting = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not holds(id, nonce) then return 0 end
redis.call('ZADD', key('leases'), now + lasting, id)
return 1
