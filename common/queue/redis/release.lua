-- release.lua - who stops gives back what it has
-- SPDX-License-Identifier: MIT
-- ARGV: tag; "stop" (it still has leases, and gives those named back) or "close" (also those of claims whose answers were
-- lost); then id and epoch of each. Gives 1 where there is more than is done at once.
local tag, closing = ARGV[1], ARGV[2] == 'close'
local RECALL, SEARCH = 2000, 4096

probe()
for i = 3, #ARGV, 2 do
	local place, epoch = unpack(redis.call('HMGET', P .. ARGV[i], 'place', 'epoch'))
	if place == 'leased' and epoch == ARGV[i + 1] then
		give_back(ARGV[i])
	end
end
if closing then
	for _, id in ipairs(redis.call('ZREVRANGE', LEASED, 0, SEARCH - 1)) do
		if string.sub(redis.call('HGET', P .. id, 'claim') or '', 1, #tag + 1) == tag .. ':' then
			give_back(id)
		end
	end
end
local more = recall_all(tag, RECALL)
if closing and not more then
	redis.call('ZREM', OWNERS, tag)
end
-- Whoever waits for a token runs a claim, and sees that nobody sweeps.
if string.sub(redis.call('GET', SWEEPER) or '', 1, #tag + 1) == tag .. ' ' then
	redis.call('DEL', SWEEPER)
end
if redis.call('EXISTS', SWEEPER) == 0 or is_due() then
	wake()
end
return more and 1 or 0
