-- info.lua - how many messages there are
-- SPDX-License-Identifier: MIT
-- Gives {all, deferred, leased, held, octets, when the oldest notification was accepted or nil, the id of the oldest other or
-- nil}. A notification has the time of another message in its id; behind the first that is none all are younger.
local LOOK = 1000
local oldest, other = false, false
for _, id in ipairs(redis.call('ZRANGE', INDEX, 0, LOOK - 1)) do
	local accepted = redis.pcall('HGET', P .. id, 'accepted')
	if type(accepted) ~= 'string' then
		other = id
		break
	elseif not oldest or tonumber(accepted) < tonumber(oldest) then
		oldest = accepted
	end
end
return {redis.call('ZCARD', INDEX), redis.call('ZCARD', DEFERRED), redis.call('ZCARD', LEASED), redis.call('ZCARD', HELD),
	redis.call('GET', OCTETS) or '0', oldest, other}
