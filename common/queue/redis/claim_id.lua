-- claim_id.lua - a lease on one message, whatever its due time
-- SPDX-License-Identifier: MIT
-- ARGV: id, the lease's ms, its owner, the claim's name, the tag of who asks. What stands under that tag is a lease whose end
-- was asked for and did not arrive, so it is taken anew; its holder has looked.
-- Gives: "none"; "busy" and the owner; or now and what claim.lua gives of a message.
local id, lease_ms, owner, claim, tag = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local key = P .. id

probe()
local place, back, ends, held_by, epoch, holder = unpack(redis.call('HMGET', key, 'place', 'back', 'until', 'claim', 'epoch', 'owner'))
if not place then
	return {'none'}
end
if place == 'leased' then
	local ours = string.sub(held_by or '', 1, #tag + 1) == tag .. ':'
	if not ours and tonumber(ends or 0) > now then
		return {'busy', holder or ''}
	end
	if not ours then
		redis.call('HSET', key, 'lapsed', holder or '')
	end
	place = back or 'deferred'
end
take(id, place, tonumber(epoch or 0), owner, claim, lease_ms)
due_at(now + lease_ms)
return {now, {record(id), false, redis.call('HGET', key, 'lapsed')}}
