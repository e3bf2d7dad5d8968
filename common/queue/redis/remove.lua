-- remove.lua - a message that is done with goes, whatever was asked beside its lease
-- SPDX-License-Identifier: MIT
-- ARGV: id, epoch, how long the id stays known. Gives: "ok", also where it is gone already; or "lost"
-- (another has it, or had it), now and the record.
probe()
local epoch = redis.call('HGET', P .. ARGV[1], 'epoch')
if epoch and epoch ~= ARGV[2] then
	return {'lost', now, record(ARGV[1])}
end
if epoch then
	finish(ARGV[1], tonumber(ARGV[3]))
else
	forget(ARGV[1])
end
return {'ok'}
