-- settings.lua - the shared settings
-- SPDX-License-Identifier: MIT
-- Gives {now, key, JSON, key, JSON...}.
local result = redis.call('HGETALL', SETTINGS)
table.insert(result, 1, digits(now))
return result
