-- Wireshark dissector for MSGin5G configuration over CoAP (TS 24.538, TS 24.546 annex C).
--
-- Wireshark's own CoAP dissector reads the message. This file adds below it: where the message
-- goes (over the link between a UE and its relay or gateway, or between that and the server; up
-- to the server, or down to the UE), the Recipient option as text, the Content-Formats by name,
-- UeConfigDoc in CBOR and in JSON with its configData unfolded, and concise problem details
-- (RFC 9290). It makes UDP port 65401 a port of CoAP.
--
-- Preferences (Edit > Preferences > Protocols > MSGIN5G, or -o msgin5g.NAME:VALUE):
--   recipient_option   number of the Recipient option, 65020
--   content_format     Content-Format of UeConfigDoc, 65001
--   port               UDP port of the link, 65401
--
-- `msgin5g wireshark --install` puts this file into the folder of personal Lua plugins. It is
-- written for Lua 5.2 to 5.4, which Wireshark has had since 1.12, so it has no bit operators.

local MAX_DEPTH = 32

local msgin5g = Proto("msgin5g", "MSGin5G Configuration over CoAP")
local document = Proto("ueconfigdoc", "UE Configuration Document")

msgin5g.prefs.recipient_option = Pref.uint("Recipient option", 65020, "Its number")
msgin5g.prefs.content_format = Pref.uint("Content-Format of UeConfigDoc", 65001, "Its number")
msgin5g.prefs.port = Pref.uint("UDP port of the link", 65401, "Between UE, relay and gateway")

local FIELDS = {
    direction = ProtoField.string("msgin5g.direction", "Direction"),
    leg = ProtoField.string("msgin5g.leg", "Leg"),
    recipient = ProtoField.string("msgin5g.recipient", "Recipient"),
    content_format = ProtoField.string("msgin5g.content_format", "Content-Format"),
    accept = ProtoField.string("msgin5g.accept", "Accept"),
    title = ProtoField.string("msgin5g.problem.title", "title"),
    detail = ProtoField.string("msgin5g.problem.detail", "detail"),
    response_code = ProtoField.string("msgin5g.problem.response_code", "response-code"),
    problem_other = ProtoField.string("msgin5g.problem.other", "Problem"),
}
local UNRECOGNISED = ProtoExpert.new(
    "msgin5g.unrecognised", "Not recognised", expert.group.PROTOCOL, expert.severity.WARN)
msgin5g.fields = FIELDS
msgin5g.experts = { UNRECOGNISED }

local DOCUMENT_FIELDS = {
    id = ProtoField.string("ueconfigdoc.id", "ueConfigDocId"),
    name = ProtoField.string("ueconfigdoc.config_name", "configName"),
    domain = ProtoField.string("ueconfigdoc.val_service_domain", "valServiceDomain"),
    service = ProtoField.string("ueconfigdoc.val_service_id", "valServiceId"),
    uri = ProtoField.string("ueconfigdoc.uri", "uri"),
    config_type = ProtoField.string("ueconfigdoc.config_type", "configType"),
    config_data = ProtoField.string("ueconfigdoc.config_data", "configData"),
    server_address = ProtoField.string("ueconfigdoc.server_address", "MSGin5G-Server-address"),
    ue_service_id = ProtoField.string("ueconfigdoc.ue_service_id", "MSGin5G-UE-Service-id"),
    segment_size = ProtoField.string("ueconfigdoc.segment_size", "Segment-size"),
    other = ProtoField.string("ueconfigdoc.other", "Element"),
}
local INVALID = ProtoExpert.new(
    "ueconfigdoc.invalid", "Not a UeConfigDoc", expert.group.MALFORMED, expert.severity.WARN)
document.fields = DOCUMENT_FIELDS
document.experts = { INVALID }

-- The CDDL of TS 24.546 C.3.1.5.2 spells the first key with a capital, the table does not.
local FIELD_OF_KEY = {
    ueConfigDocId = DOCUMENT_FIELDS.id,
    UeConfigDocId = DOCUMENT_FIELDS.id,
    configName = DOCUMENT_FIELDS.name,
    valServiceDomain = DOCUMENT_FIELDS.domain,
    valServiceId = DOCUMENT_FIELDS.service,
    uris = DOCUMENT_FIELDS.uri,
    configType = DOCUMENT_FIELDS.config_type,
    configData = DOCUMENT_FIELDS.config_data,
    ["MSGin5G-Server-address"] = DOCUMENT_FIELDS.server_address,
    ["MSGin5G-UE-Service-id"] = DOCUMENT_FIELDS.ue_service_id,
    ["Segment-size"] = DOCUMENT_FIELDS.segment_size,
}
-- A map with one of these is a document.
local KEYS_OF_DOCUMENT = {
    ueConfigDocId = true, UeConfigDocId = true, valServiceDomain = true, valUeIds = true,
    ueConfigs = true,
}

local PROBLEM_KEYS = {
    ["-1"] = "title", ["-2"] = "detail", ["-3"] = "instance", ["-4"] = "response-code",
    ["-5"] = "base-uri", ["-6"] = "base-lang", ["-7"] = "base-rtl",
    ["-8"] = "unprocessed-coap-option", ["7807"] = "tunnelled-7807",
}
local PROBLEM_FIELDS = {
    title = FIELDS.title, detail = FIELDS.detail, ["response-code"] = FIELDS.response_code,
}

local JSON, CBOR, PROBLEM_DETAILS = 50, 60, 257
local UE_CONFIG = "application/vnd.3gpp.seal-ue-config-info+cbor"
local MEDIA_TYPES = {
    [0] = "text/plain", [40] = "application/link-format", [42] = "application/octet-stream",
    [JSON] = "application/json", [CBOR] = "application/cbor",
    [PROBLEM_DETAILS] = "application/concise-problem-details+cbor",
    [10001] = "application/oscore",
}
local CONTENT_FORMAT, ACCEPT, BLOCK2, BLOCK1 = 12, 17, 23, 27
local CONTENT = 69 -- 2.05

-- Text -------------------------------------------------------------------------------------------

-- The end of the UTF-8 character at position i, and its code point; nil where there is none.
local function utf8_character(s, i)
    local first = s:byte(i)
    if first < 0x80 then return i, first end
    local n, code, low
    if first >= 0xC2 and first < 0xE0 then n, code, low = 1, first - 0xC0, 0x80
    elseif first >= 0xE0 and first < 0xF0 then n, code, low = 2, first - 0xE0, 0x800
    elseif first >= 0xF0 and first < 0xF5 then n, code, low = 3, first - 0xF0, 0x10000
    else return nil end
    for k = 1, n do
        local byte = s:byte(i + k)
        if not byte or byte < 0x80 or byte > 0xBF then return nil end
        code = code * 64 + byte - 0x80
    end
    if code < low or code > 0x10FFFF or (code >= 0xD800 and code <= 0xDFFF) then return nil end
    return i + n, code
end

local function is_invisible(code)
    return code < 0x20 or (code >= 0x7F and code <= 0xA0) or code == 0xAD or code == 0x61C
        or (code >= 0x200B and code <= 0x200F) or (code >= 0x2028 and code <= 0x202E)
        or (code >= 0x2060 and code <= 0x206F) or code == 0xFEFF or code >= 0xE0000
end

local function hex(s)
    return (s:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

-- Text of a peer on one line: what is no character of a line as an escape; nil: not UTF-8.
local function printable(s)
    local out, i = {}, 1
    while i <= #s do
        local last, code = utf8_character(s, i)
        if not last then return nil end
        if is_invisible(code) then
            out[#out + 1] = string.format(code < 0x100 and "\\x%02x" or "\\u%04x", code)
        else
            out[#out + 1] = s:sub(i, last)
        end
        i = last + 1
    end
    return table.concat(out)
end

local function text_of(s)
    return printable(s) or hex(s) .. "  (not UTF-8)"
end

-- Values -----------------------------------------------------------------------------------------
--
-- Both readers return a node: kind ("map", "array", "text" or "scalar"), from and to (its bytes in
-- the payload, from 0, to is past the end), text (of a scalar, or the string itself), items (of an
-- array: nodes; of a map: {key = text, value = node}). Or nil and what is wrong.

local function wrong(what, at)
    return nil, string.format("byte %d: %s", at, what)
end

-- The number of n bytes from position i (from 1).
local function big_endian(s, i, n)
    local value = 0.0 -- a float: eight bytes would overflow the integers of Lua 5.3
    for k = i, i + n - 1 do value = value * 256 + s:byte(k) end
    return value
end

local function integer_text(value)
    if value <= 2 ^ 53 then return string.format("%.0f", value) end
    return string.format("%.0f (rounded)", value)
end

local function float_text(s, i, n)
    local bits = { [2] = { 5, 10 }, [4] = { 8, 23 }, [8] = { 11, 52 } }
    local exponent_bits, mantissa_bits = bits[n][1], bits[n][2]
    local sign = s:byte(i) >= 0x80 and -1 or 1
    -- Not as one number: 64 bits do not fit a double.
    local head, rest_bits = big_endian(s, i, 2) % 0x8000, 8 * (n - 2)
    local scale = 2 ^ (mantissa_bits - rest_bits)
    local exponent = math.floor(head / scale)
    local mantissa = head % scale * 2 ^ rest_bits + big_endian(s, i + 2, n - 2)
    local bias = 2 ^ (exponent_bits - 1) - 1
    if exponent == 2 ^ exponent_bits - 1 then
        if mantissa > 0 then return "nan" end
        return sign < 0 and "-inf" or "inf"
    end
    if exponent == 0 then return tostring(sign * mantissa * 2 ^ (1 - bias - mantissa_bits)) end
    return tostring(sign * (1 + mantissa / 2 ^ mantissa_bits) * 2 ^ (exponent - bias))
end

local read_cbor -- (s, i, depth) -> node, position after it; or nil, what is wrong

-- The argument of a head at i: number (nil: indefinite) and the position after it; or false, why.
local function cbor_argument(s, i)
    local info = s:byte(i) % 32
    if info < 24 then return info, i + 1 end
    if info == 31 then return nil, i + 1 end
    if info > 27 then return false, "reserved additional information" end
    local n = 2 ^ (info - 24)
    if i + n > #s then return false, "ends within a number" end
    return big_endian(s, i + 1, n), i + 1 + n
end

local function cbor_string(s, i, major, from, size, after)
    local value
    if size then
        if after + size - 1 > #s then return wrong("ends within a string", i - 1) end
        value, after = s:sub(after, after + size - 1), after + size
    else
        local pieces = {}
        while true do
            local head = s:byte(after)
            if not head then return wrong("ends within a string", i - 1) end
            if head == 0xFF then break end
            if math.floor(head / 32) ~= major then
                return wrong("a piece of another type in a string", after - 1)
            end
            local n, next_position = cbor_argument(s, after)
            if not n or next_position + n - 1 > #s then
                return wrong("a piece of a string without length or end", after - 1)
            end
            pieces[#pieces + 1] = s:sub(next_position, next_position + n - 1)
            after = next_position + n
        end
        value, after = table.concat(pieces), after + 1
    end
    local node = { from = from, to = after - 1 }
    if major == 2 then
        node.kind, node.text = "scalar", "h'" .. hex(value) .. "'"
    elseif printable(value) then
        node.kind, node.text = "text", value
    else
        return wrong("text that is not UTF-8", i - 1)
    end
    return node, after
end

local function cbor_container(s, i, is_map, size, after, depth)
    local node = { kind = is_map and "map" or "array", from = i - 1, items = {} }
    while not size or #node.items < size do
        if after > #s then return wrong("ends within a " .. node.kind, i - 1) end
        if not size and s:byte(after) == 0xFF then
            after = after + 1
            break
        end
        local key, item, reason
        if is_map then
            key, reason = read_cbor(s, after, depth + 1)
            if not key then return nil, reason end
            after = reason
        end
        item, reason = read_cbor(s, after, depth + 1)
        if not item then return nil, reason end
        after = reason
        node.items[#node.items + 1] = is_map and { key = key.text or key.kind, value = item } or item
    end
    node.to = after - 1
    return node, after
end

local SIMPLE = { [20] = "false", [21] = "true", [22] = "null", [23] = "undefined" }

function read_cbor(s, i, depth)
    if depth > MAX_DEPTH then return wrong("nested too deep", i - 1) end
    local head = s:byte(i)
    if not head then return wrong("ends where an item is missing", i - 1) end
    local major, info = math.floor(head / 32), head % 32
    local argument, after = cbor_argument(s, i)
    if argument == false then return wrong(after, i - 1) end
    local from = i - 1
    if major == 7 then
        if info == 31 then return wrong("a break outside", from) end
        local text
        if info >= 25 then text = float_text(s, i + 1, 2 ^ (info - 24))
        else text = SIMPLE[argument] or string.format("simple(%d)", argument) end
        return { kind = "scalar", from = from, to = after - 1, text = text }, after
    end
    if not argument and (major < 2 or major == 6) then return wrong("no length", from) end
    if major == 0 or major == 1 then
        local text = major == 0 and integer_text(argument) or "-" .. integer_text(argument + 1)
        return { kind = "scalar", from = from, to = after - 1, text = text }, after
    end
    if major < 4 then return cbor_string(s, i, major, from, argument, after) end
    if major == 6 then -- a tag: what it tags is shown
        local item, reason = read_cbor(s, after, depth + 1)
        if item then item.from = from end
        return item, reason
    end
    return cbor_container(s, i, major == 5, argument, after, depth)
end

local read_json -- (s, i, depth) -> node, position after it; or nil, what is wrong

local ESCAPES = {
    ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function utf8_bytes(code)
    if code < 0x80 then return string.char(code) end
    local bytes, first = {}, 0xC0
    local limit = 0x20
    repeat
        table.insert(bytes, 1, string.char(0x80 + code % 64))
        code = math.floor(code / 64)
        local fits = code < limit
        if not fits then first, limit = first + limit, limit / 2 end
    until fits
    table.insert(bytes, 1, string.char(first + code))
    return table.concat(bytes)
end

local function json_string(s, i)
    local out, at = {}, i + 1
    while true do
        local stop = s:find('["\\%c]', at)
        if not stop then return wrong("a string without end", i - 1) end
        out[#out + 1] = s:sub(at, stop - 1)
        local char = s:sub(stop, stop)
        if char == '"' then
            return { kind = "text", from = i - 1, to = stop, text = table.concat(out) }, stop + 1
        end
        if char ~= "\\" then return wrong("a control character in a string", stop - 1) end
        local escape = s:sub(stop + 1, stop + 1)
        at = stop + 2
        if escape == "u" then
            local digits = s:match("^%x%x%x%x", at)
            if not digits then return wrong("a wrong escape", stop - 1) end
            local code = tonumber(digits, 16)
            at = at + 4
            local low = code >= 0xD800 and code < 0xDC00 and s:match("^\\u(%x%x%x%x)", at)
            low = low and tonumber(low, 16)
            if low and low >= 0xDC00 and low < 0xE000 then
                code, at = 0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00, at + 6
            elseif code >= 0xD800 and code < 0xE000 then
                return wrong("half a surrogate pair", stop - 1)
            end
            out[#out + 1] = utf8_bytes(code)
        elseif ESCAPES[escape] then
            out[#out + 1] = ESCAPES[escape]
        else
            return wrong("a wrong escape", stop - 1)
        end
    end
end

local function skip_space(s, i)
    return s:find("[^ \t\r\n]", i) or #s + 1
end

local function json_container(s, i, is_map, depth)
    local closing = is_map and "}" or "]"
    local node = { kind = is_map and "map" or "array", from = i - 1, items = {} }
    local at = skip_space(s, i + 1)
    if s:sub(at, at) == closing then
        node.to = at
        return node, at + 1
    end
    while true do
        local key, item, after
        if is_map then
            if s:sub(at, at) ~= '"' then return wrong("a key is missing", at - 1) end
            key, after = json_string(s, at)
            if not key then return nil, after end
            at = skip_space(s, after)
            if s:sub(at, at) ~= ":" then return wrong("a colon is missing", at - 1) end
            at = skip_space(s, at + 1)
        end
        item, after = read_json(s, at, depth + 1)
        if not item then return nil, after end
        node.items[#node.items + 1] = is_map and { key = key.text, value = item } or item
        at = skip_space(s, after)
        local char = s:sub(at, at)
        if char == closing then
            node.to = at
            return node, at + 1
        end
        if char ~= "," then return wrong("a comma is missing", at - 1) end
        at = skip_space(s, at + 1)
    end
end

function read_json(s, i, depth)
    if depth > MAX_DEPTH then return wrong("nested too deep", i - 1) end
    i = skip_space(s, i)
    local char = s:sub(i, i)
    if char == '"' then return json_string(s, i) end
    if char == "{" or char == "[" then return json_container(s, i, char == "{", depth) end
    local word = s:match("^[%w%.%+%-]+", i)
    if word and (word == "true" or word == "false" or word == "null"
            or word:match("^%-?%d+%.?%d*[eE]?[%+%-]?%d*$")) then
        return { kind = "scalar", from = i - 1, to = i - 1 + #word, text = word }, i + #word
    end
    return wrong("a value is missing", i - 1)
end

local function read_json_text(s, i, depth)
    if not printable(s) then return nil, "not UTF-8" end
    return read_json(s, i, depth)
end

-- The node of a whole text; or nil, what is wrong.
local function parse_json(s)
    local node, after = read_json_text(s, 1, 1)
    if node and skip_space(s, after) <= #s then return wrong("more after the value", after - 1) end
    return node, after
end

-- Documents --------------------------------------------------------------------------------------

local show_node

-- A child for each pair of a map or item of an array. bytes: of a node, a TvbRange.
local function show_items(node, bytes, tree, field)
    for _, item in ipairs(node.items) do
        if node.kind == "map" then show_node(item.value, item.key, bytes, tree)
        else show_node(item, nil, bytes, tree, field) end
    end
end

local function show_config_data(node, bytes, tree)
    local item = tree:add(DOCUMENT_FIELDS.config_data, bytes(node), printable(node.text))
    local data = parse_json(node.text)
    if data and data.kind == "map" then
        item:append_text(", JSON")
        -- Its parts have escapes and no bytes of their own in CBOR: they stand for the whole text.
        show_items(data, function() return bytes(node) end, item)
    elseif node.text:match("^%s*<") then
        item:append_text(", XML")
    else
        item:append_text(", not JSON")
    end
end

function show_node(node, key, bytes, tree, field)
    if key == "configData" and node.kind == "text" then
        return show_config_data(node, bytes, tree)
    end
    field = FIELD_OF_KEY[key] or field
    local name = key and printable(key) or "item"
    if node.items then
        show_items(node, bytes, tree:add(document, bytes(node), name), field)
    elseif field then
        tree:add(field, bytes(node), printable(node.text))
    else
        tree:add(DOCUMENT_FIELDS.other, bytes(node), name .. ": " .. printable(node.text))
            :set_text(name .. ": " .. printable(node.text))
    end
end

local function is_document(node)
    if node.kind ~= "map" then return false end
    for _, item in ipairs(node.items) do
        if KEYS_OF_DOCUMENT[item.key] then return true end
    end
    return false
end

-- Whether a node is a UeConfigDoc or an array of nothing else.
local function has_documents(node)
    if node.kind ~= "array" then return is_document(node) end
    for _, item in ipairs(node.items) do
        if not is_document(item) then return false end
    end
    return true
end

-- Show the documents of a payload. expected: say so where there are none.
local function show_documents(tvb, tree, read, expected)
    local s = tvb:raw()
    local node, after = read(s, 1, 1)
    if not (node and has_documents(node)) then
        if expected then
            local item = tree:add(document, tvb())
            item:add_proto_expert_info(INVALID, node and "not a UeConfigDoc" or after)
        end
        return
    end
    local function bytes(part)
        if part.to <= part.from then return tvb(part.from, 0) end
        return tvb(part.from, part.to - part.from)
    end
    local each = node.kind == "array" and node.items or { node }
    local top = tree:add(document, tvb(), node.kind == "array"
        and string.format("array of %d UeConfigDoc", #each) or "UeConfigDoc")
    for _, one in ipairs(each) do
        show_items(one, bytes, #each == 1 and top or top:add(document, bytes(one), "UeConfigDoc"))
    end
    if skip_space(s, after) <= #s then
        top:add_proto_expert_info(INVALID, string.format("more from byte %d on", after - 1))
    end
end

-- Wireshark's CoAP dissector calls this one by the name that it gives to a Content-Format without a
-- name; it puts blocks together before. The frame whose document has been shown so:
local shown_in_frame

function document.dissector(tvb, pinfo, tree)
    shown_in_frame = pinfo.number
    show_documents(tvb, tree, read_cbor, true)
    return tvb:len()
end

-- Messages ---------------------------------------------------------------------------------------

-- A message (a string): code, options as {number, value, from, to}, position of the payload (from
-- 0) or nil. It ends at the first byte that is no CoAP: Wireshark's own dissector says so.
local function read_message(s)
    if #s < 4 then return nil end
    local message = { code = s:byte(2), options = {} }
    local token_size = s:byte(1) % 16
    local i = 5
    if token_size == 13 or token_size == 14 then -- RFC 8974
        local n = token_size - 12
        if i + n - 1 > #s then return message end
        token_size, i = big_endian(s, i, n) + (n == 1 and 13 or 269), i + n
    elseif token_size == 15 then
        return message
    end
    i = i + token_size
    local number = 0
    while i <= #s do
        local head = s:byte(i)
        if head == 0xFF then
            if i < #s then message.payload = i end
            return message
        end
        local from = i - 1
        local sizes = { math.floor(head / 16), head % 16 }
        i = i + 1
        for k = 1, 2 do
            local n = sizes[k] - 12
            if n == 3 then return message end
            if n > 0 then
                if i + n - 1 > #s then return message end
                sizes[k], i = big_endian(s, i, n) + (n == 1 and 13 or 269), i + n
            end
        end
        number = number + sizes[1]
        if i + sizes[2] - 1 > #s or number > 65535 then return message end
        message.options[#message.options + 1] =
            { number = number, value = s:sub(i, i + sizes[2] - 1), from = from, to = i - 1 + sizes[2] }
        i = i + sizes[2]
    end
    return message
end

-- The value of a number option, or nil.
local function number_option(message, number)
    for _, option in ipairs(message.options) do
        if option.number == number and #option.value <= 4 then
            return big_endian(option.value, 1, #option.value)
        end
    end
    return nil
end

local function media_type(number)
    if number == msgin5g.prefs.content_format then return UE_CONFIG end
    return MEDIA_TYPES[number] or (number >= 65000 and "experimental" or "not known here")
end

-- Of the message: "to the server" or "to the UE"; nil for an empty message.
local function direction_of(code)
    if code == 0 then return nil end
    return code < 32 and "to the server" or "to the UE"
end

local function leg_of(pinfo)
    local port = msgin5g.prefs.port
    local is_link = pinfo.src_port == port and pinfo.dst_port == port
    return is_link and "link" or "server"
end

local function show_recipient(option, range, tree)
    local item = tree:add(FIELDS.recipient, range, text_of(option.value))
    if #option.value < 1 or #option.value > 255 then
        item:add_proto_expert_info(
            UNRECOGNISED, string.format("%d bytes, not 1 to 255: not recognised", #option.value))
    elseif not printable(option.value) then
        item:add_proto_expert_info(UNRECOGNISED, "not UTF-8")
    end
end

local function show_options(message, tvb, tree)
    local seen
    for _, option in ipairs(message.options) do
        local range = tvb(option.from, option.to - option.from)
        if option.number == msgin5g.prefs.recipient_option then
            show_recipient(option, range, tree)
            seen = seen or option.value
        elseif (option.number == CONTENT_FORMAT or option.number == ACCEPT) and #option.value <= 2 then
            local number = big_endian(option.value, 1, #option.value)
            local field = option.number == ACCEPT and FIELDS.accept or FIELDS.content_format
            tree:add(field, range, string.format("%d  %s", number, media_type(number)))
        end
    end
    return seen
end

local function show_problem(tvb, tree)
    local node = read_cbor(tvb:raw(), 1, 1)
    if not node or node.kind ~= "map" then return end
    local top = tree:add(msgin5g, tvb(), "Problem details")
    for _, item in ipairs(node.items) do
        local value, key = item.value, PROBLEM_KEYS[item.key] or item.key
        local text = value.text or value.kind
        if key == "response-code" and tonumber(text) then
            local code = tonumber(text)
            text = string.format("%d.%02d", math.floor(code / 32), code % 32)
        end
        local range = tvb(value.from, value.to - value.from)
        if PROBLEM_FIELDS[key] then
            top:add(PROBLEM_FIELDS[key], range, printable(text))
        else
            local line = printable(key) .. ": " .. printable(text)
            top:add(FIELDS.problem_other, range, line):set_text(line)
        end
    end
end

local function show_payload(message, tvb, pinfo, tree, tree_of_documents)
    local payload = tvb(message.payload):tvb()
    local block = number_option(message, BLOCK2) or number_option(message, BLOCK1)
    if block and (block >= 16 or math.floor(block / 8) % 2 == 1) then return end
    local format = number_option(message, CONTENT_FORMAT)
    if format == PROBLEM_DETAILS then
        show_problem(payload, tree)
    elseif shown_in_frame == pinfo.number then
        return
    elseif format == msgin5g.prefs.content_format then
        show_documents(payload, tree_of_documents, read_cbor, true)
    elseif format == CBOR or (not format and message.code == CONTENT) then
        show_documents(payload, tree_of_documents, read_cbor)
    elseif format == JSON then
        show_documents(payload, tree_of_documents, read_json_text)
    end
end

local coap_field = Field.new("coap")
local coap_version = Field.new("coap.version") -- CoAP over TCP has none, and another header

function msgin5g.dissector(_, pinfo, tree)
    local coap = coap_version() and coap_field()
    if not coap then
        shown_in_frame = nil
        return
    end
    local tvb = coap.range:tvb()
    local message = read_message(tvb:raw())
    if message then
        local top = tree:add(msgin5g, tvb())
        local direction, leg = direction_of(message.code), leg_of(pinfo)
        local way = { leg == "link" and "link" or "server side" }
        if direction then
            top:add(FIELDS.direction, direction):set_generated()
            way[#way + 1] = direction
        end
        top:add(FIELDS.leg, leg):set_generated()
        local recipient = show_options(message, tvb, top)
        if recipient then way[#way + 1] = "Recipient " .. text_of(recipient) end
        top:append_text(", " .. table.concat(way, ", "))
        if recipient then pinfo.cols.info:append(", " .. table.concat(way, ", ")) end
        if message.payload then show_payload(message, tvb, pinfo, top, tree) end
    end
    shown_in_frame = nil
end

register_postdissector(msgin5g)

-- Registration -----------------------------------------------------------------------------------

local udp_port = DissectorTable.get("udp.port")
local media_types = DissectorTable.get("media_type")
local coap_dissector = Dissector.get("coap")
local registered = {}

local function register()
    local port, name = msgin5g.prefs.port, "Unknown Type " .. msgin5g.prefs.content_format
    if registered.port ~= port then
        if registered.port then udp_port:remove(registered.port, coap_dissector) end
        udp_port:add(port, coap_dissector)
    end
    if registered.name ~= name then
        if registered.name then media_types:remove(registered.name, document) end
        media_types:add(name, document)
    end
    registered = { port = port, name = name }
end

msgin5g.prefs_changed = register
register()
