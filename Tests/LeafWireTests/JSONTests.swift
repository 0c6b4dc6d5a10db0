import LeafFormat
import LeafSystem
import Testing

/// Values out and in.
@Suite struct JSONTests {
    @Test func writtenValuesKeepTheirOrderAndAreOneLine() {
        let value: JSON = [
            "b": .integer(-1), "a": .unsigned(.max), "text": "a\"\\\n\r\t\u{1}\u{1F}é天",
            "numbers": [.number(0.1), .number(1e-7)],
            "none": .null, "yes": .bool(true), "empty": .object([]),
        ]
        #expect(
            value.line
                == #"{"b":-1,"a":18446744073709551615,"text":"a\"\\\n\r\t\u0001\u001fé天","numbers":[0.1,1e-07],"none":null,"yes":true,"empty":{}}"#
        )
    }

    @Test func whatATerminalTakesForACommandIsEscapedAndReadBack() throws {
        let text = "\u{1B}[31m\u{7F}\u{80}\u{9B}\u{9F}\u{A0}\u{200E}\u{200F}\u{2028}\u{202E}\u{2066}\u{2069}天😀"
        let line = JSON.object([(text, .string(text))]).line
        let escaped =
            #"\u001b[31m\u007f\u0080\u009b\u009f"# + "\u{A0}" + #"\u200e\u200f\u2028\u202e\u2066\u2069天😀"#
        #expect(line == "{\"\(escaped)\":\"\(escaped)\"}")
        try read(line) { reader throws(LeafError) in
            try reader.object { name, reader throws(LeafError) in
                #expect(Array(name.utf8) == Array(text.utf8))
                #expect(Array(try reader.text().utf8) == Array(text.utf8))
            }
        }
    }

    @Test func whatJSONHasNoNumberForIsNull() {
        #expect(JSON.array([.number(.infinity), .number(-.infinity), .number(.nan)]).line == "[null,null,null]")
    }

    private func read<Value>(
        _ json: String, _ body: (inout JSONReader) throws(LeafError) -> Value
    ) throws(LeafError) -> Value {
        var reader = JSONReader(Array(json.utf8)[...])
        let value = try body(&reader)
        try reader.end()
        return value
    }

    @Test func everyKindOfValueIsRead() throws {
        #expect(try read(" true ") { reader throws(LeafError) in try reader.bool() })
        #expect(
            try read("18446744073709551615") { reader throws(LeafError) in try reader.integer(UInt64.self) } == .max)
        #expect(try read("-9223372036854775808") { reader throws(LeafError) in try reader.integer(Int.self) } == .min)
        for (literal, number) in [
            ("3.0", 3), ("-3.00", -3), ("1e2", 100), ("2.5E+1", 25), ("1200e-2", 12), ("0.0e-7", 0), ("-0", 0),
            ("9.223372036854775807e18", Int.max), ("9007199254740993.0", 9_007_199_254_740_993),
        ] {
            let found = try read(literal) { reader throws(LeafError) in try reader.integer(Int.self) }
            #expect(found == number, "\(literal)")
        }
        #expect(try read("0.1") { reader throws(LeafError) in try reader.number(Float.self) } == 0.1)
        #expect(try read("1E+2") { reader throws(LeafError) in try reader.number(Double.self) } == 100)
        #expect(try read("[1,2 , 3]") { reader throws(LeafError) in try reader.integers(Int32.self) } == [1, 2, 3])
        #expect(try read("[]") { reader throws(LeafError) in try reader.texts() } == [])
        #expect(
            try read(#""a\"\\\/\b\f\n\r\t\u5929\uD83D\uDE00é""#) { reader throws(LeafError) in try reader.text() }
                == "a\"\\/\u{8}\u{C}\n\r\t天😀é")
        #expect(try read("\u{FEFF}null") { reader throws(LeafError) in try reader.takeNull() })
    }

    @Test func whatNobodyAsksForIsPassed() throws {
        // Python writes the last three.
        let json = #"{"a":{"b":[1,{"c":null}],"d":"x"},"n":NaN,"i":Infinity,"j":-Infinity,"want":7}"#
        var found: Int?
        try read(json) { reader throws(LeafError) in
            try reader.object { name, reader throws(LeafError) in
                if name == "want" { found = try reader.integer(Int.self) } else { try reader.skip() }
            }
        }
        #expect(found == 7)
    }

    @Test func faultsAreNamedByWhatAndWhere() throws {
        let cases: [(String, String)] = [
            ("", "a value is missing at byte 1"),
            ("nonsense", "not valid JSON"),
            ("[1 2]", "a comma or ] is missing at byte 4"),
            (#"{"a" 1}"#, "a colon is missing at byte 6"),
            (#"{"a":1"#, "a comma or } is missing at byte 7"),
            ("{a:1}", "a name in quotes is missing at byte 2"),
            ("[1,]", "no value begins so at byte 4"),
            ("1 2", "something stands behind the value at byte 3"),
            ("01", "something stands behind the value at byte 2"),
            ("1.", "a digit is missing at byte 3"),
            ("-", "a digit is missing at byte 2"),
            ("\"a", "a text has no end at byte 3"),
            ("\"a\tb\"", "a control character"),
            (#""\x""#, "an escape that JSON does not have stands at byte 2"),
            (#""\u12""#, "four hexadecimal digits stands at byte 2"),
            (String(repeating: "[", count: 100_000), "more than 64 deep"),
            (String(repeating: #"{"a":"#, count: 100_000), "more than 64 deep"),
        ]
        for (json, part) in cases {
            let error = #expect(throws: LeafError.self) {
                try read(json) { reader throws(LeafError) in try reader.skip() }
            }
            #expect(error?.kind == .usage)
            #expect(error?.description.contains(part) == true, "\(json.prefix(40)): \(error?.description ?? "")")
        }
    }

    @Test func halfACharacterIsRefusedWhereItIsRead() throws {
        for (json, part) in [
            (#""春\ud83d天""#, #"a lone surrogate, \ud83d) stands at byte 5"#), (#""\uDC00""#, #"\udc00"#),
            (#""\ud83d\u0041""#, #"\ud83d) stands at byte 2"#),
        ] {
            let error = #expect(throws: LeafError.self) {
                try read(json) { reader throws(LeafError) in _ = try reader.text() }
            }
            #expect(error?.description.contains(part) == true, "\(json): \(error?.description ?? "")")
            try read(json) { reader throws(LeafError) in try reader.skip() }
            try read("{\(json):1}") { reader throws(LeafError) in try reader.skip() }
        }
    }

    @Test func aTextThatIsNotUTF8IsRefused() {
        let bytes: [UInt8] = [0x22, 0x61, 0xFF, 0x22]
        var reader = JSONReader(bytes[...])
        #expect(throws: LeafError.self) { try reader.text() }
    }

    @Test func valuesOfAnotherKindAreNamedByTheirField() throws {
        func problem(_ json: String, _ body: (inout JSONReader) throws(LeafError) -> Void) -> String {
            do throws(LeafError) {
                try read(json) { reader throws(LeafError) in
                    try reader.object { _, reader throws(LeafError) in try body(&reader) }
                }
                return ""
            } catch { return error.description }
        }
        #expect(
            problem(#"{"max_tokens":"3"}"#) { reader throws(LeafError) in _ = try reader.integer(Int.self) }
                == "'max_tokens' is a text, where a whole number is wanted")
        #expect(
            problem(#"{"seed":-1}"#) { reader throws(LeafError) in _ = try reader.integer(UInt64.self) }
                == "'seed' is -1, where a whole number from 0 to 18446744073709551615 is wanted")
        for (numbers, reason) in [
            (["9223372036854775808", "9.223372036854775808e18", "1e19", "1e999999999999999999"], "which is too large"),
            (["-9223372036854775809", "-1e19", "-Infinity"], "which is too small"),
            (["1.5", "15e-1", "1e-400", "NaN"], "where a whole number is wanted"),
        ] {
            for number in numbers {
                #expect(
                    problem("{\"n\":\(number)}") { reader throws(LeafError) in _ = try reader.integer(Int.self) }
                        == "'n' is \(number), \(reason)")
            }
        }
        #expect(
            problem(#"{"a\u001b]0;x":1.5}"#) { reader throws(LeafError) in _ = try reader.integer(Int.self) }
                .hasPrefix(#"'a\u{1b}]0;x' is 1.5"#))
        for number in ["1e400", "NaN", "Infinity", "1e-400", "-0.001e-400"] {
            #expect(
                problem("{\"t\":\(number)}") { reader throws(LeafError) in _ = try reader.number(Double.self) }
                    .contains("'t' is \(number)"))
        }
    }

    @Test func randomBytesNeverTrap() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array(#"{}[]",:\u0123456789.eE+-truefalsnN aI"#.utf8) + [0xFF, 0xE6, 0x00]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                alphabet[Int.random(in: alphabet.indices, using: &generator)]
            }
            var reader = JSONReader(bytes[...])
            do throws(LeafError) {
                try reader.skip()
                try reader.end()
            } catch { #expect(error.kind == .usage) }
        }
    }
}
