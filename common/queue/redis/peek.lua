-- peek.lua - what is known of a message
-- SPDX-License-Identifier: MIT
-- ARGV: id; "1" for its content too. Gives {now, record, octets}, nil for what is not there.
local found = record(ARGV[1])
local octets = found and found[3] ~= nil and ARGV[2] == '1' and redis.call('HGET', P .. ARGV[1], 'octets')
return {digits(now), found, octets}
