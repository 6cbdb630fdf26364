package bus

import "github.com/redis/go-redis/v9"

// All that members must agree on is in one hash, so that losing a part of it means losing it all: epoch, run (the server's run id), seq and
// nonce (of the last event), tick (counts beats), lease (in ms, that of all members), settled, strict (the ids of the members that writers
// wait for), witnesses (the ids of those that have watched the server since the event floor, see witness.go), m:ID (member: "beat applied seen nonce awaits", the nonce of the applied event) and o:TOKEN (the fences that are up, as events). The
// log is a stream with the ids seq-0.
//
// KEYS of every script: the hash, the log.

// scriptCommon are functions that the scripts share. A server that runs under another id than the one which made the hash may have lost
// the end of what it acknowledged (a replica that was promoted, a restart): that is the end of the epoch.
const scriptCommon = `
local function run()
	local info = redis.pcall('INFO', 'server')
	if type(info) ~= 'string' then return '' end
	return string.match(info, 'run_id:(%x+)') or ''
end
local function lost(epoch)
	return redis.call('HGET', KEYS[1], 'epoch') ~= epoch or redis.call('HGET', KEYS[1], 'run') ~= run()
end
local function add(seed, length, payload)
	local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
	local before = redis.call('HGET', KEYS[1], 'nonce')
	local nonce = string.sub(redis.sha1hex(seed .. ':' .. seq), 1, 16)
	redis.call('HSET', KEYS[1], 'nonce', nonce)
	redis.call('XADD', KEYS[2], 'MAXLEN', '~', length, seq .. '-0', 'n', nonce, 'p', before, 'e', payload)
	return seq, nonce
end
local function without(list, id)
	local kept = {}
	for word in string.gmatch(list or '', '%S+') do
		if word ~= id then kept[#kept + 1] = word end
	end
	return table.concat(kept, ' ')
end
local function put(name, id, wanted)
	local list = without(redis.call('HGET', KEYS[1], name), id)
	if wanted then
		if list ~= '' then list = list .. ' ' end
		list = list .. id
	end
	redis.call('HSET', KEYS[1], name, list)
end
local function remove(id)
	put('strict', id, false)
	put('witnesses', id, false)
	return redis.call('HDEL', KEYS[1], 'm:' .. id)
end
local function watch(id)
	if (redis.call('HGET', KEYS[1], 'witnesses') or '') ~= '' then return end
	redis.call('HSET', KEYS[1], 'floor', redis.call('HGET', KEYS[1], 'seq'))
	put('witnesses', id, true)
end
`

// scripts are what members do in one step. Each is loaded by the first call of it.
type scripts struct{ join, beat, append, missing, leave, settle, reset *redis.Script }

func newScripts() scripts {
	script := func(text string) *redis.Script { return redis.NewScript(scriptCommon + text) }
	return scripts{
		// ARGV: epoch if one has to be made, seed, log's length, own id, '1' if writers shall wait for it, the Join event, the
		// All event or '', the prefix of its fences' tokens, its lease in ms, the epoch whose witness
		// it is or '', then token and event of each of its fences that are up.
		join: script(`
local running = run()
local state = redis.call('HMGET', KEYS[1], 'epoch', 'run')
if not state[1] or state[2] ~= running then
	redis.call('DEL', KEYS[1], KEYS[2])
	redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'run', running, 'seq', 0, 'nonce', string.sub(redis.sha1hex(ARGV[2]), 1, 16), 'tick', 0, 'settled', 0, 'strict', '', 'lease', ARGV[9])
end
local agreed = redis.call('HMGET', KEYS[1], 'lease', 'epoch', 'tick')
if agreed[1] ~= ARGV[9] then return {'lease', agreed[1], agreed[2], agreed[3]} end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do -- a call that the network brings late knows nothing of the fences that are up now
	if string.sub(all[i], 1, 2 + #ARGV[8]) == 'm:' .. ARGV[8] and string.sub(all[i], 3) >= ARGV[4] then return {'late'} end
end
for i = 1, #all, 2 do -- those whose answer was lost, too
	if string.sub(all[i], 1, 2 + #ARGV[8]) == 'm:' .. ARGV[8] then remove(string.sub(all[i], 3)) end
end
local up = {}
for i = 11, #ARGV, 2 do
	up[ARGV[i]] = true
	redis.call('HSET', KEYS[1], 'o:' .. ARGV[i], ARGV[i + 1])
	add(ARGV[2], ARGV[3], ARGV[i + 1])
end
for i = 1, #all, 2 do
	if string.sub(all[i], 1, 2 + #ARGV[8]) == 'o:' .. ARGV[8] and not up[string.sub(all[i], 3)] then
		redis.call('HDEL', KEYS[1], all[i])
		add(ARGV[2], ARGV[3], string.char(2) .. string.sub(all[i + 1], 2))
	end
end
add(ARGV[2], ARGV[3], ARGV[6])
if ARGV[7] ~= '' then add(ARGV[2], ARGV[3], ARGV[7]) end
local tick = redis.call('HINCRBY', KEYS[1], 'tick', 1)
redis.call('HSET', KEYS[1], 'm:' .. ARGV[4], '0 ' .. redis.call('HGET', KEYS[1], 'seq') .. ' 0 ' .. redis.call('HGET', KEYS[1], 'nonce') .. ' 0')
put('strict', ARGV[4], ARGV[5] == '1')
if ARGV[10] == agreed[2] then put('witnesses', ARGV[4], true) else watch(ARGV[4]) end
return redis.call('HGETALL', KEYS[1])`),

		// ARGV: epoch, own id, the last beat that was answered, this beat, applied, the last tick that was received, the nonce of what was applied, how
		// long the keys live in ms, '1' if all that this member writes waits for those that want it, '2' if it also knows of no outsiders, '1' if it is a
		// witness.
		beat: script(`
if lost(ARGV[1]) then return {'lost'} end
local me = redis.call('HGET', KEYS[1], 'm:' .. ARGV[2])
if not me then return {'lost'} end
local was = tonumber(string.match(me, '^%d+'))
if was < tonumber(ARGV[3]) or was > tonumber(ARGV[4]) then return {'lost'} end
local tick = redis.call('HINCRBY', KEYS[1], 'tick', 1)
redis.call('HSET', KEYS[1], 'm:' .. ARGV[2], ARGV[4] .. ' ' .. ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. ARGV[7] .. ' ' .. ARGV[9])
if ARGV[10] == '1' then put('witnesses', ARGV[2], true) end
redis.call('PEXPIRE', KEYS[1], ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
return redis.call('HGETALL', KEYS[1])`),

		// ARGV: epoch, own id, seed, log's length, then of each event: the token that it puts up, the token that it takes down, or '', and the event.
		// Returns the number of the first event, the members to wait for and the nonces of all events.
		append: script(`
if lost(ARGV[1]) or redis.call('HEXISTS', KEYS[1], 'm:' .. ARGV[2]) == 0 then return {'lost'} end
local first
local nonces = {}
for i = 5, #ARGV, 3 do
	if ARGV[i] ~= '' then redis.call('HSET', KEYS[1], 'o:' .. ARGV[i], ARGV[i + 2]) end
	if ARGV[i + 1] ~= '' then redis.call('HDEL', KEYS[1], 'o:' .. ARGV[i + 1]) end
	local seq, nonce = add(ARGV[3], ARGV[4], ARGV[i + 2])
	first = first or seq
	nonces[#nonces + 1] = nonce
end
return {'ok', first, redis.call('HGET', KEYS[1], 'strict'), table.concat(nonces, ' ')}`),

		// ARGV: epoch, own id, seed, log's length, the silent member's id and beat, the Missing event.
		missing: script(`
if lost(ARGV[1]) or redis.call('HEXISTS', KEYS[1], 'm:' .. ARGV[2]) == 0 then return {'lost'} end
local it = redis.call('HGET', KEYS[1], 'm:' .. ARGV[5])
if not it or string.match(it, '^%d+') ~= ARGV[6] then return {'ok'} end
remove(ARGV[5])
add(ARGV[3], ARGV[4], ARGV[7])
watch(ARGV[2])
return {'ok'}`),

		// ARGV: epoch, own id, seed, log's length, the Leave event.
		leave: script(`
if lost(ARGV[1]) then return {'lost'} end
local witness = without(redis.call('HGET', KEYS[1], 'witnesses'), ARGV[2]) ~= redis.call('HGET', KEYS[1], 'witnesses')
if remove(ARGV[2]) == 0 then return {'lost'} end
if witness then -- until now, and the others have come before
	local all = redis.call('HGETALL', KEYS[1])
	for i = 1, #all, 2 do
		if string.sub(all[i], 1, 2) == 'm:' then put('witnesses', string.sub(all[i], 3), true) end
	end
end
add(ARGV[3], ARGV[4], ARGV[5])
return {'ok'}`),

		// ARGV: epoch.
		settle: script(`
if not lost(ARGV[1]) then redis.call('HSET', KEYS[1], 'settled', 1) end
return {'ok'}`),

		// ARGV: epoch. Ends it: the log has a fork.
		reset: script(`
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end
return {'ok'}`),
	}
}
