-- Takes a dead letter away, for good or back into its line.
-- ARGV: id, name of this call, 1: back into its line
-- Answers 1, or 0: there is no such letter.

local id, call, back = ARGV[1], ARGV[2], ARGV[3]

for _, letter in ipairs(redis.call('XRANGE', key('dead'), '-', '+')) do
  local fields = {}
  for i = 1, #letter[2], 2 do fields[letter[2][i]] = letter[2][i + 1] end
  if fields['id'] == id then
    redis.call('XDEL', key('dead'), letter[1])
    if back == '1' then
      store(id, fields['body'], fields['priority'], 0)
      ring()
    end
    return done(call)
  end
end
return was_done(call)
