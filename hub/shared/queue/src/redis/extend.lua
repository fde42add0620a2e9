-- Makes a lease hold for longer.
-- ARGV: id, nonce, name of this call (not needed: it may be done twice), how long from now in ms
-- Answers 1, or 0: the lease was lost.

local id, nonce, lasting = ARGV[1], ARGV[2], tonumber(ARGV[4])
if not holds(id, nonce) then return 0 end
even_if_full()
redis.call('ZADD', key('leases'), now + lasting, id)
return 1
