-- info.lua - how many messages there are
-- SPDX-License-Identifier: MIT
-- Gives {all, deferred, leased, held, octets, least id or nil}.
return {redis.call('ZCARD', INDEX), redis.call('ZCARD', DEFERRED), redis.call('ZCARD', LEASED), redis.call('ZCARD', HELD),
	redis.call('GET', OCTETS) or '0', redis.call('ZRANGE', INDEX, 0, 0)[1]}
