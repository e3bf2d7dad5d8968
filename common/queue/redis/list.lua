-- list.lua - messages in the order of their ids
-- SPDX-License-Identifier: MIT
-- ARGV: the id behind which to begin, or ""; how many at most; octets of all of them at most, but for the last.
-- Gives {now, the last id looked at or nil for the end, records...}.
local most, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local ids = redis.call('ZRANGEBYLEX', INDEX, ARGV[1] == '' and '-' or '(' .. ARGV[1], '+', 'LIMIT', 0, most)
local result = {digits(now), #ids == most and ids[most]}
local size = 0
for i, id in ipairs(ids) do
	local found = record(id)
	if found then
		result[#result + 1] = found
		for _, text in ipairs(found) do
			size = size + (type(text) == 'string' and #text or 8)
		end
		if size >= room and i < #ids then
			result[2] = id
			break
		end
	end
end
return result
