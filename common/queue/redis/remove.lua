-- remove.lua - a message that is done with goes, whatever was asked beside its lease
-- SPDX-License-Identifier: MIT
-- ARGV: id, epoch, how long the id stays known. Gives: "ok", also where it is gone already; or "lost"
-- (another has it, or had it), now and the record.
-- Epochs grow: where there is a lower one, or none, redis lost the claim (it fell back to older data), and nobody had it since.
probe()
local id, ours = ARGV[1], tonumber(ARGV[2])
local place, epoch = unpack(redis.call('HMGET', P .. id, 'place', 'epoch'))
epoch = tonumber(epoch or 0) or 0
if place and (epoch > ours or epoch < ours and place == 'leased') then
	return {'lost', now, record(id)}
end
if redis.call('EXISTS', P .. id) == 1 then
	finish(id, tonumber(ARGV[3]))
else
	forget(id)
end
return {'ok'}
