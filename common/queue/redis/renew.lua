-- renew.lua - a lease goes on, and what was settled under it is recorded
-- SPDX-License-Identifier: MIT
-- ARGV: id, epoch, version, the lease's ms, its owner, the tag of who has it; the state, or none: then nothing is recorded; suspect;
-- where it returns to when nobody ends the lease; when it is due (none: as before); whether marks are obeyed in that state.
-- Gives: "ok" and the version; "gone"; "lost", now and the record; "changed" and the same.
local id, epoch, version, lease_ms, owner, tag, state, suspect, back = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]),
	unpack(ARGV, 5, 9)
local due, obeyed = ARGV[10], ARGV[11] == '1'
local key = P .. id

probe()
local was = redis.call('HMGET', key, 'place', 'epoch', 'version', 'due')
local unchanged = (was[3] or '0') == version
if not was[1] then
	return forget(id)
end
if was[2] ~= epoch or (was[1] ~= 'leased' and not unchanged) then
	return {'lost', now, record(id)}
end
if state ~= '' and not unchanged then
	return {'changed', now, record(id)}
end
if was[1] ~= 'leased' then
	-- It ended, and nobody has had it since.
	redis.call('HSET', key, 'place', 'leased', 'back', was[1], 'owner', owner, 'since', digits(now), 'claim', tag .. ':0')
	redis.call('HDEL', key, 'aside', 'lapsed')
	leave(id)
end
redis.call('HSET', key, 'until', digits(now + lease_ms))
redis.call('ZADD', LEASED, digits(now + lease_ms), id)
if state ~= '' then
	redis.call('HSET', key, 'state', state)
	if suspect ~= '' then
		redis.call('HSET', key, 'suspect', suspect)
	else
		redis.call('HDEL', key, 'suspect')
	end
	redis.call('HSET', key, 'back', back)
	if due ~= '' or not was[4] then
		redis.call('HSET', key, 'due', due ~= '' and due or digits(now))
	end
	if obeyed then
		redis.call('HDEL', key, 'marks')
	end
	redis.call('HINCRBY', key, 'version', 1)
end
return {'ok', tonumber(redis.call('HGET', key, 'version'))}
