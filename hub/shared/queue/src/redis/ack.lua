-- Removes a message whose work is done.
-- ARGV: id, nonce, name of this call
-- Answers 1, or 0: the lease was lost.

local id, nonce, call = ARGV[1], ARGV[2], ARGV[3]
if not holds(id, nonce) then return was_done(call) end
forget(id)
return done(call)
