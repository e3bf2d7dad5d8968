-- set.lua - a shared setting is made, changed or taken away
-- SPDX-License-Identifier: MIT
-- ARGV: its key; the value as a JSON string, "" to take it away; for how many ms, "" for good; how many there may be.
-- Gives "ok" or "full".
local key, value, expiry = ARGV[1], ARGV[2], ARGV[3]

local function expires(text)
	return tonumber(string.match(text, '"expires": (%d+)}$'))
end

redis.call('HDEL', SETTINGS, key)
if value == '' then
	return 'ok'
end
if redis.call('HLEN', SETTINGS) >= tonumber(ARGV[4]) then
	local all = redis.call('HGETALL', SETTINGS)
	for i = 1, #all, 2 do
		if (expires(all[i + 1]) or math.huge) <= now then
			redis.call('HDEL', SETTINGS, all[i])
		end
	end
	if redis.call('HLEN', SETTINGS) >= tonumber(ARGV[4]) then
		return 'full'
	end
end
redis.call('HSET', SETTINGS, key, '{"value": ' .. value ..
	(expiry ~= '' and ', "expires": ' .. digits(now + tonumber(expiry)) or '') .. '}')
return 'ok'
