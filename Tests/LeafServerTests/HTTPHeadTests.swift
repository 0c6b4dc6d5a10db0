import LeafServer
import Testing

/// What of a request libevent is let see.
@Suite struct HTTPHeadTests {
    /// The status with which a request is refused; nil where it is not.
    private func refusal(_ text: String, pieces size: Int = 1, _ limits: HTTPLimits = HTTPLimits()) -> Int? {
        var reader = RequestReader(limits)
        do {
            _ = try seen(Array(text.utf8), by: &reader, pieces: size)
            return nil
        } catch {
            return error.status.rawValue
        }
    }

    /// The bytes as libevent sees them.
    private func seen(
        _ bytes: [UInt8], by reader: inout RequestReader, pieces size: Int
    ) throws(ServedError) -> [UInt8] {
        var bytes = bytes
        for begin in stride(from: 0, to: bytes.count, by: size) {
            let end = min(begin + size, bytes.count)
            let result = bytes.withUnsafeMutableBytes { all in
                Result { () throws(ServedError) in
                    try reader.take(UnsafeMutableRawBufferPointer(rebasing: all[begin..<end]))
                }
            }
            try result.get()
        }
        return bytes
    }

    @Test func theEndOfAHeadIsFoundInWhateverPiecesItComes() throws {
        let head = Array("\r\nPOST / HTTP/1.1\r\nHost: a\nX: b\r\n\r\nbody\n\n".utf8)
        let end = 35
        #expect(head[..<end].suffix(4) == Array("\r\n\r\n".utf8)[...])
        for size in 1...head.count {
            var reader = RequestReader(HTTPLimits())
            #expect(try seen(Array(head[..<(end - 1)]), by: &reader, pieces: size) == Array(head[..<(end - 1)]))
            #expect(!reader.isHeadWhole)
            #expect(try seen(Array(head[(end - 1)...]), by: &reader, pieces: size) == Array(head[(end - 1)...]))
            #expect(reader.isHeadWhole)
        }
    }

    @Test func emptyLinesInFrontAreCountedOnceAndAreFew() throws {
        let head = "GET / HTTP/1.0\r\n\r\n"
        for size in 1...6 {
            var reader = RequestReader(HTTPLimits())
            _ = try seen(Array("\r\n\n".utf8), by: &reader, pieces: size)
            var counts = [reader.takeEmptyBytes()]
            #expect(!reader.isBegun)
            _ = try seen(Array(("\r\n" + head).utf8), by: &reader, pieces: size)
            counts += [reader.takeEmptyBytes(), reader.takeEmptyBytes()]
            #expect(counts == [3, 2, 0] && reader.isHeadWhole)
        }
        #expect(refusal(String(repeating: "\r\n", count: 4) + head) == nil)
        #expect(refusal(String(repeating: "\r\n", count: 5) + head) == 400)
    }

    @Test(arguments: [
        ("", nil), ("Content-Length: 12\r\n", 12), ("content-length:  12 \t\r\n", 12),
        ("X-Content-Length: 12\r\n", nil), ("Content-Length: 99999999999999999999\r\n", Int.max),
        ("Content-Length: 0\r\n", 0),
    ])
    func aHeadSaysHowLongItsBodyIs(_ line: String, _ bytes: Int?) throws {
        var head = HTTPHead()
        for byte in "POST / HTTP/1.1\r\nHost: a\r\n\(line)X: Content-Length: 7\r\n\r\n".utf8 { try head.take(byte) }
        #expect(head.isWhole && head.bodyBytes == bytes)
    }

    @Test(arguments: [
        ("", nil), ("X-Request-Id: a\r\n", "a"), ("x-request-id:  req-1=;\"~ \t\r\n", "req-1=;\"~"),
        ("X-Request-Id: a b\r\n", nil), ("X-Request-Id: \r\n", nil), ("X-Request-Id: é\r\n", nil),
        ("X-Request-Id: a\r\nX-Request-Id: b\r\n", "a"), ("X-Request: a\r\n", nil),
        ("X-Request-Id: \(String(repeating: "a", count: 128))\r\n", String(repeating: "a", count: 128)),
        ("X-Request-Id: \(String(repeating: "a", count: 129))\r\n", nil),
    ])
    func aNameOfTheRequestIsKeptIfALineOfALogCanHoldIt(_ line: String, _ name: String?) throws {
        var head = HTTPHead()
        for byte in "GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n".utf8 { try head.take(byte) }
        #expect(head.isWhole && head.requestID == name)
    }

    @Test(arguments: [
        "GET / HTTP/1.1", "GET /a?b=c&d HTTP/1.0", "OPTIONS * HTTP/1.1", "GET http://localhost/health HTTP/1.1",
        "BREW / HTTP/1.1",
    ])
    func linesThatAreRightPass(_ line: String) { #expect(refusal(line + "\r\nHost: a\r\n\r\n") == nil) }

    @Test(arguments: [
        ("GET / HTTP/1.10", 505), ("GET / HTTP/1.11", 505), ("GET / HTTP/0.9", 505), ("GET / HTTP/-1.1", 505),
        ("GET / HTTP/1.-1", 505), ("GET / HTTP/1.2", 505), ("GET / HTTP/", 505), ("GET / http/1.1", 400),
        ("GET /", 400), ("GET", 400), ("GET  / HTTP/1.1", 400), ("GET /  HTTP/1.1", 400), ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400), ("GET\t/ HTTP/1.1", 400), ("GET //evil.example/health HTTP/1.1", 400),
        ("GET health HTTP/1.1", 400), ("GET * HTTP/1.1", 400), ("GET ftp://a/ HTTP/1.1", 400),
        ("GET /\u{0} HTTP/1.1", 400), ("G(T / HTTP/1.1", 400), ("GET /\rX HTTP/1.1", 400),
        ("CONNECT a:80 HTTP/1.1", 404),
    ])
    func linesThatAreWrongAreRefused(_ line: String, _ status: Int) {
        #expect(refusal(line + "\r\nHost: a\r\n\r\n") == status, "\(line)")
    }

    @Test(arguments: [
        ("foo : b", 400), (": b", 400), (" folded", 400), ("\tfolded", 400), ("foo", 400), ("föö: b", 400),
        ("foo: a\u{0}b", 400), ("foo: a\rb", 400), ("foo: \u{7F}", 400), ("Host: b", 400), ("hOST: a", 400),
        ("Content-Length: +2", 400), ("Content-Length: -2", 400), ("Content-Length: 0x2", 400),
        ("Content-Length: 2, 2", 400), ("Content-Length: ", 400), ("Content-Length:\t2", 400),
        ("Content-Length: 2\r\nContent-Length: 3", 400), ("Content-Length: \u{0662}", 400),
        ("Transfer-Encoding: xchunked", 501), ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked, chunked", 501), ("Transfer-Encoding:\tchunked", 501),
        ("Transfer-Encoding: identity", 501), ("Transfer-Encoding: ", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 501),
        ("Transfer-Encoding: chunked" + String(repeating: " ", count: 60) + "x", 501),
        ("Transfer-Encoding: chunked\r\nContent-Length: 2", 400),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", 400),
    ])
    func fieldsThatCanBeReadInTwoWaysAreRefused(_ fields: String, _ status: Int) {
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n") == status, "\(fields)")
    }

    @Test func onlyHTTP10MayLeaveOutTheHost() {
        #expect(refusal("GET / HTTP/1.1\r\n\r\n") == 400)
        #expect(refusal("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n") == 400)
        #expect(refusal("GET http://a/ HTTP/1.1\r\n\r\n") == 400)
        #expect(refusal("GET / HTTP/1.0\r\n\r\n") == nil)
        #expect(refusal("GET / HTTP/1.1\r\nHost:\r\n\r\n") == nil)
    }

    @Test func bodiesThatLibeventWouldNotReadAreRefused() {
        #expect(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n") == 400)
        #expect(refusal("DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == 400)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") == nil)
    }

    // MARK: Chunks

    private static let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n"

    @Test func extensionsOfChunksAreBlankInWhateverPiecesTheyCome() throws {
        let sent = "5;a=\"b;\"\r\n;a=b\n\r\n0A \t;x\r\n0123456789\r\n000;y\r\nTrailer: z\r\n\r\nPOST ;"
        let wanted = "5       \r\n;a=b\n\r\n0A    \r\n0123456789\r\n000  \r\nTrailer: z\r\n\r\nPOST ;"
        for size in 1...sent.utf8.count {
            var reader = RequestReader(HTTPLimits())
            let found = try seen(Array((Self.chunked + sent).utf8), by: &reader, pieces: size)
            #expect(String(decoding: found, as: UTF8.self) == Self.chunked + wanted)
        }
    }

    @Test(arguments: [
        ("\r\n", 400), ("0x5\r\n", 400), ("+5\r\n", 400), ("-5\r\n", 400), ("xyz\r\n", 400), (" 5\r\n", 400),
        (";a\r\n", 400), ("5 5\r\n", 400), ("5\n", 400), ("5\rx", 400), ("5;\u{0}\r\n", 400), ("5\r\n01234x", 400),
        ("5\r\n01234\n", 400), ("5\r\n01234\r\n\r\n", 400), ("5;" + String(repeating: "a", count: 2000), 400),
        ("0\r\nno colon\r\n\r\n", 400), ("0\r\nHost: b\r\n\r\n", 400), ("0\r\nContent-Length: 5\r\n\r\n", 400),
        ("ffffffffffffffffffffff", 413), ("7fffffffffffffff", 413), ("11\r\n", 413),
        ("8\r\n01234567\r\n9\r\n", 413), ("0\r\nX: " + String(repeating: "a", count: 17_000), 431),
    ])
    func chunksThatMakeNoSenseAreRefusedAtOnce(_ chunks: String, _ status: Int) {
        var limits = HTTPLimits()
        limits.bodyBytes = 16
        #expect(refusal(Self.chunked + chunks, limits) == status, "\(chunks.prefix(40))")
        #expect(refusal(Self.chunked + "8\r\n01234567\r\n8\r\n89abcdef\r\n0\r\n\r\n", limits) == nil)
    }
}
