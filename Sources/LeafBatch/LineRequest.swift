package import LeafFormat
package import LeafSystem
import LeafWire

/// A line of a job on its way to whoever answers it: `{"line","seed","origin","request"}`. It says all that its answer
/// depends on, so that a model which would give another one refuses it.
package struct LineRequest: Sendable, Equatable {
    package let line: Int
    /// For a request that gives none.
    let seed: UInt64
    /// Of the job: what decides every answer beside its request.
    package let origin: String
    /// The line, which was read before and so is valid UTF-8.
    let request: String

    init(line: Int, seed: UInt64, origin: String, request: ArraySlice<UInt8>) {
        (self.line, self.seed, self.origin) = (line, seed, origin)
        self.request = String(decoding: request, as: UTF8.self)
    }

    package var json: JSON {
        [
            "line": .integer(line), "seed": .unsigned(seed), "origin": .string(origin), "request": .string(request),
        ]
    }

    /// - Throws: `.usage` for anything else.
    package init(json: ArraySlice<UInt8>) throws(LeafError) {
        var (line, seed, origin, request): (Int?, UInt64?, String?, String?)
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "line": line = try reader.integer()
            case "seed": seed = try reader.integer()
            case "origin": origin = try reader.text()
            case "request": request = try reader.text()
            default: try reader.skip()
            }
        }
        guard let line, line >= 1, let seed, let origin, let request else {
            throw LeafError(.usage, "this is no line of a job: it has not line, seed, origin and request")
        }
        (self.line, self.seed, self.origin, self.request) = (line, seed, origin, request)
    }
}

/// The answer to a line on its way back: `{"line","failed","tokens","answer"}`.
package struct LineAnswer: Sendable, Equatable {
    package let line: Int
    package let isFailure: Bool
    /// Generated and scored for it, as whoever has answered it says.
    package let tokens: Int
    /// As it stands among the answers, without its line feed.
    package let answer: String

    package var json: JSON {
        [
            "line": .integer(line), "failed": .bool(isFailure), "tokens": .integer(tokens), "answer": .string(answer),
        ]
    }

    init(line: Int, isFailure: Bool, tokens: Int, answer: JSON) {
        (self.line, self.isFailure, self.tokens, self.answer) = (line, isFailure, tokens, answer.line)
    }

    /// - Throws: `.usage` for anything else.
    package init(json: ArraySlice<UInt8>) throws(LeafError) {
        var (line, isFailure, answer): (Int?, Bool?, String?)
        // A library before it told of tokens tells of none.
        var tokens: UInt32 = 0
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "line": line = try reader.integer()
            case "failed": isFailure = try reader.bool()
            case "tokens": tokens = try reader.integer()
            case "answer": answer = try reader.text()
            default: try reader.skip()
            }
        }
        guard let line, let isFailure, let answer, Self.isObject(answer) else {
            throw LeafError(
                .usage,
                "this is no answer to a line of a job: it has not line, failed and answer, "
                    + "which is one JSON object on one line")
        }
        (self.line, self.isFailure, self.tokens, self.answer) = (line, isFailure, Int(tokens), answer)
    }

    /// Whether it is one JSON object on one line, and nothing in front of it.
    private static func isObject(_ text: String) -> Bool {
        guard text.utf8.first == UInt8(ascii: "{"), !text.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D }) else {
            return false
        }
        do throws(LeafError) {
            try JSONReader.read(Array(text.utf8)[...]) { _, reader throws(LeafError) in try reader.skip() }
            return true
        } catch {
            return false
        }
    }
}
