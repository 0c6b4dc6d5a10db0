import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("safetensors header") struct SafetensorsHeaderTests {
    private func entry(_ name: String, _ shape: String, _ range: String, _ type: String = "U8") -> String {
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":\(range)}"
    }

    private func parse(_ entries: String..., data: Int) throws -> SafetensorsHeader {
        let json = Array("{\(entries.joined(separator: ","))}".utf8)
        return try SafetensorsHeader(json: json, fileBytes: 8 + json.count + data, path: "x")
    }

    private func refusal(_ entries: String..., data: Int) -> String {
        let json = Array("{\(entries.joined(separator: ","))}".utf8)
        let error = failure { _ = try SafetensorsHeader(json: json, fileBytes: 8 + json.count + data, path: "x") }
        #expect(error?.kind == .badInput)
        return error?.description ?? "accepted"
    }

    @Test func whatIsWrittenIsRead() throws {
        let tensors = [
            TensorEntry(name: "a \"quoted\" \\ name\n", type: .f32, shape: [2, 3], offset: 0, byteCount: 24),
            TensorEntry(name: "空", type: .i8, shape: [], offset: 24, byteCount: 1),
            TensorEntry(name: "none", type: .f16, shape: [0, 5], offset: 25, byteCount: 0),
        ]
        let json = SafetensorsHeader.json(metadata: [("k\t", "v\u{1F}\"")], tensors: tensors)
        let header = try SafetensorsHeader(
            json: json + Array("   ".utf8), fileBytes: 8 + json.count + 3 + 25, path: "x")
        #expect(header.metadata == ["k\t": "v\u{1F}\""])
        #expect(header.tensors.map(\.name) == tensors.map(\.name))
        #expect(header.tensors.map(\.shape) == tensors.map(\.shape))
        #expect(header.tensors.map { $0.offset - header.dataOffset } == [0, 24, 25])
    }

    @Test func holesAndOverlapsAreRefused() {
        #expect(refusal(entry("a", "[4]", "[0,4]"), entry("b", "[4]", "[5,9]"), data: 9).contains("hole"))
        #expect(refusal(entry("a", "[4]", "[0,4]"), entry("b", "[4]", "[3,7]"), data: 7).contains("overlaps"))
        #expect(refusal(entry("a", "[4]", "[0,4]"), data: 5).contains("end at"))
        #expect(refusal(entry("a", "[4]", "[0,4]"), data: 3).contains("outside"))
        // Of a name that stands twice one remains, and the bytes of the other are a hole.
        #expect(refusal(entry("a", "[4]", "[0,4]"), entry("a", "[4]", "[4,8]"), data: 8).contains("x"))
    }

    @Test func theFirstOfSeveralFaultsIsReported() {
        let entries = (0..<8).map { entry("t\($0)", "[4]", "[\($0 * 4),\($0 * 4 + 4)]") }.reversed()
        #expect(refusal(entries.joined(separator: ","), data: 10).contains("tensor t2 lies outside"))
    }

    @Test func impossibleNumbersAreRefused() {
        #expect(refusal(entry("a", "[4]", "[4,0]"), data: 4).contains("outside"))
        #expect(refusal(entry("a", "[4]", "[-4,0]"), data: 4).contains("outside"))
        #expect(refusal(entry("a", "[4]", "[0]"), data: 4).contains("outside"))
        #expect(refusal(entry("a", "[-4]", "[0,4]"), data: 4).contains("shape"))
        #expect(refusal(entry("a", "[4294967296,4294967296]", "[0,4]"), data: 4).contains("shape"))
        #expect(refusal(entry("a", "[9223372036854775807]", "[0,4]", "F64"), data: 4).contains("shape"))
        #expect(refusal(entry("a", "[9223372036854775808]", "[0,4]"), data: 4).contains("not a safetensors table"))
        #expect(refusal(entry("a", "[1e400]", "[0,4]"), data: 4).contains("not a safetensors table"))
        #expect(refusal(entry("a", "[5]", "[0,4]"), data: 4).contains("needs 5"))
        #expect(refusal(entry("a", "[4]", "[0,4]", "F8_E4M3"), data: 4).contains("F8_E4M3"))
        let ranks = "[" + [String](repeating: "1", count: 40).joined(separator: ",") + "]"
        #expect(refusal(entry("a", ranks, "[0,1]"), data: 1).contains("shape"))
    }

    @Test func whatIsNoTableIsRefused() {
        for json in [
            "", "{", "[]", "null", "{\"a\":1}", "{\"a\":{}}", "{\"__metadata__\":{\"a\":1}}", "\u{FEFF}{}x",
            String(repeating: "[", count: 100_000), String(repeating: "{\"a\":", count: 100_000),
        ] {
            let bytes = Array(json.utf8)
            let error = failure { _ = try SafetensorsHeader(json: bytes, fileBytes: 8 + bytes.count, path: "x") }
            #expect(error?.kind == .badInput, "\(json.prefix(20))")
        }
        let invalid: [UInt8] = [0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x3A, 0x7D]
        #expect(failure { _ = try SafetensorsHeader(json: invalid, fileBytes: 15, path: "x") } != nil)
    }

    private func header(of path: String) throws(LeafError) -> SafetensorsHeader {
        var allowance = HeapAllowance.unlimited
        return try SafetensorsHeader(reading: InputFile(path: path), &allowance)
    }

    @Test(arguments: [0, 1, 16_777_217, 1 << 40, UInt64(1) << 63, UInt64.max])
    func theLengthIsCheckedBeforeAnythingIsAllocated(length: UInt64) throws {
        let directory = try TemporaryDirectory()
        let data = withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data("{}      ".utf8)
        try data.write(to: URL(filePath: directory.path("x")))
        let error = failure { _ = try header(of: directory.path("x")) }
        #expect(error?.description.contains("promises a header of \(length) bytes") == true)
    }

    @Test(arguments: ["Once upon a time there was an ant.", "春眠不觉晓，处处闻啼鸟。"])
    func aTextIsCalledOneAndNotALength(text: String) throws {
        let directory = try TemporaryDirectory()
        try Data(text.utf8).write(to: URL(filePath: directory.path("story.txt")))
        let error = failure { _ = try header(of: directory.path("story.txt")) }
        let sentence = "begins like a text, and is neither a model, a session nor weights"
        #expect(error?.description.hasSuffix(sentence) == true)
    }

    /// The magic letters of a session are a text as well.
    @Test func aSessionIsCalledOne() throws {
        let directory = try TemporaryDirectory()
        try Data("LEAFSESS\u{1}\0\0\0\0\0\0\0".utf8).write(to: URL(filePath: directory.path("tale.session")))
        let error = failure { _ = try header(of: directory.path("tale.session")) }
        #expect(error?.description.contains("tale.session is a session and no model; give the model") == true)
    }

    @Test func filesThatAreNoneAreRefused() throws {
        let directory = try TemporaryDirectory()
        #expect(failure { _ = try InputFile(path: directory.url.path) }?.description.contains("directory") == true)
        #expect(failure { _ = try InputFile(path: directory.path("none")) }?.kind == .io)
        #expect(failure { _ = try InputFile(path: "/dev/null") }?.description.contains("not a regular file") == true)
        for count in [0, 7] {
            try Data(repeating: 1, count: count).write(to: URL(filePath: directory.path("short")))
            let error = failure { _ = try header(of: directory.path("short")) }
            #expect(error?.description.contains("too few") == true)
        }
    }

    @Test func everyWayToWriteTheSameIsRead() throws {
        let plain = try parse(entry("é\u{1F600}/\\u0001", "[4,1]", "[0,4]"), data: 4)
        let spaced = try parse(
            "\n\t\"\\u00e9\\ud83d\\uDE00\\/\\u0001\" : {\"data_offsets\":[ 0 , 4 ],\r\"dtype\":\"\\u00558\", \"shape\":[4,1]} ",
            data: 4)
        #expect(spaced.tensors.map(\.name) == plain.tensors.map(\.name))
        #expect(spaced.tensors.map(\.shape) == [[4, 1]])
        // What nobody asks for is passed over.
        let more =
            "{\"dtype\":\"U8\",\"more\":[{},[],null,true,-1.5e3,\"]}\",{\"a\":{\"b\":[]}}],\"shape\":[1],\"data_offsets\":[0,1]}"
        #expect(try parse("\"a\":\(more)", data: 1).tensors.map(\.byteCount) == [1])
        for none in ["{}", "null"] {
            #expect(try parse("\"__metadata__\":\(none)", entry("a", "[]", "[0,1]"), data: 1).metadata.isEmpty)
        }
    }

    @Test func whatJSONDoesNotAllowIsRefused() {
        for json in [
            "{\"a\":\(1)}", "{,}", "{\"a\"}", "{\"a\":}", "{}}", "{} {}", "{\"a\":{},}", "{'a':{}}", "{\"\\x\":{}}",
            "{\"\\ud800\":{}}",
            "{\"\\ud800\\u0041\":{}}", "{\"\\udc00\":{}}", "{\"\\u12\":{}}", "{\"\\u12g4\":{}}", "{\"\n\":{}}", "{\"a",
            "{\"a\\", "{\"a\\u", "{\"a\":{\"x\":tru}}", "{\"a\":{\"x\":[1,]}}", "{\"a\":{\"x\":nan}}",
            "{\"__metadata__\":{},\"__metadata__\":{}}", "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}",
            "{\"__metadata__\":[]}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[01],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[-],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"x\":\(String(repeating: "[", count: 100))\(String(repeating: "]", count: 100))}}",
        ] {
            let bytes = Array(json.utf8)
            let error = failure { _ = try SafetensorsHeader(json: bytes, fileBytes: 9 + bytes.count, path: "x") }
            #expect(error?.description.contains("not a safetensors table") == true, "\(json)")
        }
        let many = (0...1024).map { "\"\($0)\":\"\"" }.joined(separator: ",")
        #expect(refusal("\"__metadata__\":{\(many)}", data: 0).contains("too many metadata"))
    }

    @Test func mutatedHeadersNeverCrash() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let file = try Data(contentsOf: Golden.model("ant-tiny-c/hf/model.safetensors"))
        let length = Int(file[0]) | Int(file[1]) << 8
        let json = Array(file[8..<8 + length])
        var refused = 0
        for _ in 0..<3000 {
            var mutated = json
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                mutated[Int.random(in: 0..<mutated.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            let error = failure { _ = try SafetensorsHeader(json: mutated, fileBytes: file.count, path: "x") }
            if error != nil { refused += 1 }
            #expect(error == nil || error?.kind == .badInput, "seed \(seed)")
        }
        #expect(refused > 1000, "seed \(seed)")
    }
}
