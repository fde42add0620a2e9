-- Removes a message whose work is done.
-- ARGV: id, nonce
-- Answers 1, or 0: the lease was lost.

local id, nonce = ARGV[1], ARGV[2]
if not holds(id, nonce) then return 0 end
forget(id)
return 1
