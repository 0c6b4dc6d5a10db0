import GoldenSupport
import LeafServer
import Testing

/// Forms with a file, whole and broken, in whatever pieces they come.
@Suite struct MultipartTests {
    private static let type = "multipart/form-data; boundary=xyz"

    /// A part and its bytes.
    private struct Found: Equatable {
        var part: MultipartReader.Part
        var bytes: [UInt8] = []
        var isWhole = false
    }

    private func read(
        _ body: [UInt8], _ type: String = MultipartTests.type, pieces: () -> Int = { 1 << 20 }
    ) throws(ServedError) -> [Found] {
        var reader = try MultipartReader(contentType: type)
        var found: [Found] = []
        var rest = body[...]
        while !rest.isEmpty {
            let piece = rest.prefix(max(1, pieces()))
            rest = rest.dropFirst(piece.count)
            try reader.take(piece) { event throws(ServedError) in
                switch event {
                case .begin(let part): found.append(Found(part: part))
                case .bytes(let bytes): found[found.count - 1].bytes += bytes
                case .end: found[found.count - 1].isWhole = true
                }
            }
        }
        try reader.finish()
        return found
    }

    private func form(_ parts: [(head: String, bytes: [UInt8])], boundary: String = "xyz") -> [UInt8] {
        var body: [UInt8] = []
        for part in parts {
            body += Array("--\(boundary)\r\n\(part.head)\r\n\r\n".utf8)
            body += part.bytes
            body += Array("\r\n".utf8)
        }
        return body + Array("--\(boundary)--\r\n".utf8)
    }

    private func field(_ name: String, file: String? = nil) -> String {
        "Content-Disposition: form-data; name=\"\(name)\"" + (file.map { "; filename=\"\($0)\"" } ?? "")
    }

    private func status(_ body: [UInt8], _ type: String = MultipartTests.type) -> Int {
        do throws(ServedError) {
            _ = try read(body, type)
            return 200
        } catch {
            return error.status.rawValue
        }
    }

    @Test func partsAreTheSameInWhateverPiecesTheyCome() throws {
        var generator = SeededGenerator(seed: 7)
        // Bytes of which boundaries are made come often.
        let alphabet = Array("\r\n--xyz".utf8) + [0, 0xFF]
        for _ in 0..<200 {
            let parts = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
                let bytes = (0..<Int.random(in: 0...60, using: &generator)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                }
                // A boundary in the middle of a part ends it, so none is made there.
                return String(decoding: bytes, as: UTF8.self).contains("--xyz") ? Array("plain".utf8) : bytes
            }
            let body = form(parts.enumerated().map { (field("f\($0.offset)"), $0.element) })
            let whole = try read(body)
            #expect(whole.map(\.bytes) == parts)
            #expect(!whole.contains { !$0.isWhole })
            #expect(try read(body, pieces: { 1 }) == whole)
            let cut = try read(body, pieces: { Int.random(in: 1...9, using: &generator) })
            #expect(cut == whole)
        }
    }

    @Test func namesComeInQuotesAndWithout() throws {
        let heads = [
            field("file", file: "a;b.jsonl"), "content-disposition:form-data;name=file;filename=a;x=y",
            "Content-Type: text/plain\r\nContent-Disposition: form-data; NAME=\"file\"; filename=\"a\\\"b\"",
            field("file", file: "C:\\x\\a.jsonl"), field("文件", file: "诗.jsonl"),
        ]
        let found = try read(form(heads.map { ($0, []) })).map(\.part)
        #expect(found.map(\.name) == ["file", "file", "file", "file", "文件"])
        #expect(found.map(\.fileName) == ["a;b.jsonl", "a", "a\"b", "C:\\x\\a.jsonl", "诗.jsonl"])
    }

    @Test func theBoundaryMayBeInQuotesAndEverythingAroundTheFormIsPassed() throws {
        let body =
            Array("who reads this?\r\n".utf8) + form([(field("a"), [1])], boundary: "a b") + Array("--a b\r\n".utf8)
        #expect(try read(body, "Multipart/Form-Data; charset=x; boundary=\"a b\"").map(\.bytes) == [[1]])
    }

    @Test func aBoundaryMayBeFollowedByBlanks() throws {
        let body = Array("--xyz \t\r\n\(field("a"))\r\n\r\nx\r\n--xyz--".utf8)
        #expect(try read(body).map(\.bytes) == [[UInt8(ascii: "x")]])
    }

    @Test(arguments: [
        "", "application/json", "multipart/mixed; boundary=xyz", "multipart/form-data2; boundary=xyz",
    ])
    func anotherTypeIsNoForm(_ type: String) { #expect(status(form([(field("a"), [])]), type) == 415) }

    @Test(arguments: [
        "multipart/form-data", "multipart/form-data; boundary", "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary=\"a \"", "multipart/form-data; boundary=é",
        "multipart/form-data; boundary=" + String(repeating: "x", count: 71),
    ])
    func aBoundaryThatMakesNoSenseIsRefused(_ type: String) { #expect(status(form([(field("a"), [])]), type) == 400) }

    @Test(arguments: [
        "", "\r\n", "--xyz", "--xyz\r\n", "no boundary at all", "--xyzz\r\n\r\n\r\n--xyzz--",
        // Line feeds alone, an empty head, a head without a colon, a part that is no field.
        "--xyz\n\n\n--xyz--\n", "--xyz\r\n\r\nx\r\n--xyz--", "--xyz\r\nx\r\n\r\n\r\n--xyz--",
        "--xyz\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data\r\n\r\n\r\n--xyz--",
        "--xyz\r\nContent-Type: text/plain\r\n\r\n\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--xyz--",
        // Encoded, and a form in a form.
        "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=a\r\nContent-Type: multipart/mixed\r\n\r\n\r\n--xyz--",
        // The end is missing.
        "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--xyz\r\n",
        "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx",
    ])
    func whatIsNoWholeFormIsRefused(_ body: String) { #expect(status(Array(body.utf8)) == 400, "\(body)") }

    @Test func headsAndPartsHaveALimit() {
        let long = "X: " + String(repeating: "x", count: 9000)
        #expect(status(form([(long + "\r\n" + field("a"), [])])) == 400)
        // A head that never ends is not held.
        #expect(status(Array("--xyz\r\n".utf8) + Array(repeating: UInt8(ascii: "x"), count: 20_000)) == 400)
        #expect(status(Array("--xyz".utf8) + Array(repeating: UInt8(ascii: " "), count: 20_000)) == 400)
        #expect(status(form(Array(repeating: (field("a"), []), count: 33))) == 400)
        #expect(status(form(Array(repeating: (field("a"), []), count: 32))) == 200)
    }

    /// Whether a limit is kept depends on no pieces: at, before and behind each.
    @Test func limitsAreTheSameInWhateverPiecesTheBodyComes() {
        func status(_ body: [UInt8], in pieceBytes: Int) -> Int {
            do throws(ServedError) {
                _ = try read(body, pieces: { pieceBytes })
                return 200
            } catch {
                return error.status.rawValue
            }
        }
        let head = Array(field("a").utf8)
        // The head counts the line break in front of it.
        for length in 8188...8194 {
            let filler = Array(repeating: UInt8(ascii: "x"), count: length - head.count - 7)
            let long = Array("--xyz\r\nX: ".utf8) + filler + Array("\r\n".utf8) + head
            let blanks = Array(repeating: UInt8(ascii: " "), count: length)
            let blank = Array("--xyz".utf8) + blanks + Array("\r\n".utf8) + head
            for body in [long, blank].map({ $0 + Array("\r\n\r\nx\r\n--xyz--".utf8) }) {
                let whole = self.status(body)
                #expect(whole == (length <= 8192 ? 200 : 400), "\(length)")
                for size in [1, 2, 3, 7, 64] { #expect(status(body, in: size) == whole, "\(length), \(size)") }
            }
        }
    }

    @Test func namesThatAreNoTextAreReadAllTheSame() throws {
        let head =
            Array("--xyz\r\nContent-Disposition: form-data; name=\"".utf8) + [0xFF, 0xC3] + Array("\"\r\n\r\n".utf8)
        let found = try read(head + Array("x\r\n--xyz--".utf8))
        #expect(found.count == 1 && found[0].bytes == [UInt8(ascii: "x")])
    }

    @Test func noBytesCrashIt() {
        var generator = SeededGenerator(seed: 11)
        let whole = form([(field("purpose"), Array("batch".utf8)), (field("file", file: "a"), Array("{}\n".utf8))])
        for _ in 0..<2000 {
            var body = whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<body.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: body[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: body.remove(at: place)
                default:
                    body.insert(
                        contentsOf: Array("\r\n--xyz".utf8).prefix(Int.random(in: 1...7, using: &generator)), at: place)
                }
            }
            let status = status(body)
            #expect(status == 200 || status == 400)
        }
    }
}
