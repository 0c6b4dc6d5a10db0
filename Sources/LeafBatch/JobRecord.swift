import LeafFormat
package import LeafSystem
import LeafWire

/// The first line of a job's file: what its answers depend on. A run that would give others does not go on with it.
package struct JobRecord: Sendable, Equatable {
    /// Of the lines behind it, `[line, bytes, digest]`, and `true` behind those of a request that failed.
    static let version = 1

    package struct Field: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    /// What decides every answer beside its request.
    package var origin: [Field]
    /// What the seeds of requests without one are made of.
    package var seed: UInt64
    /// Of the file of requests.
    package var inputBytes: Int
    package var inputDigest: UInt64

    package init(origin: [(name: String, value: String)], seed: UInt64, inputBytes: Int, inputDigest: UInt64) {
        self.origin = origin.map { Field(name: $0.name, value: $0.value) }
        (self.seed, self.inputBytes, self.inputDigest) = (seed, inputBytes, inputDigest)
    }

    /// A short form of what decides every answer beside its request, to compare.
    package static func digest(of origin: [(name: String, value: String)]) -> String {
        digest(of: origin.map { Field(name: $0.name, value: $0.value) })
    }

    static func digest(of origin: [Field]) -> String {
        let json = JSON.object(origin.map { ($0.name, .string($0.value)) })
        return ChunkDigest.of(Array(json.line.utf8)).hexDigits
    }

    package var line: String {
        let json: JSON = [
            "leafcutter_batch": .integer(Self.version),
            "origin": .object(origin.map { ($0.name, .string($0.value)) }), "seed": .unsigned(seed),
            "input": ["bytes": .integer(inputBytes), "digest": .string(inputDigest.hexDigits)],
        ]
        return json.line + "\n"
    }

    /// Whether a file is empty, or begins as one of a job does, as far as it goes, or as far as it came to the disk.
    static func isRecord(_ path: String) throws(LeafError) -> Bool {
        let input = try InputFile(path: path)
        let start = Array(#"{"leafcutter_batch":"#.utf8)
        let head = try input.bytes(at: 0, count: min(start.count, input.byteCount))
        let written = head.prefix { $0 != 0 }
        guard start.starts(with: written) else { return false }
        return written.count == head.count ? true : try input.isZero(from: written.count)
    }

    /// - Returns: nil for anything else.
    init?(_ bytes: ArraySlice<UInt8>) {
        var (version, seed, inputBytes): (Int?, UInt64?, Int?)
        var digest: UInt64?
        var origin: [Field] = []
        var reader = JSONReader(bytes)
        do throws(LeafError) {
            try reader.fields { name, reader throws(LeafError) in
                switch name {
                case "leafcutter_batch": version = try reader.integer()
                case "origin":
                    try reader.object { name, reader throws(LeafError) in
                        origin.append(Field(name: name, value: try reader.text()))
                    }
                case "seed": seed = try reader.integer()
                case "input":
                    try reader.fields { name, reader throws(LeafError) in
                        switch name {
                        case "bytes": inputBytes = try reader.integer()
                        case "digest": digest = UInt64(hexDigits: Array(try reader.text().utf8))
                        default: try reader.skip()
                        }
                    }
                default: try reader.skip()
                }
            }
            try reader.end()
        } catch {
            return nil
        }
        guard version == Self.version, let seed, let inputBytes, let digest else { return nil }
        (self.origin, self.seed, self.inputBytes, inputDigest) = (origin, seed, inputBytes, digest)
    }

    /// In what a run would differ from what was begun.
    func difference(from origin: [Field]) -> String? {
        for field in self.origin + origin.filter({ field in !self.origin.contains { $0.name == field.name } }) {
            let now = origin.first { $0.name == field.name }?.value ?? "none"
            let before = self.origin.first { $0.name == field.name }?.value ?? "none"
            if now != before { return "\(field.name) \(before), this run has \(now)" }
        }
        return nil
    }

    /// Compares what a run would do with what was begun.
    ///
    /// - Parameters:
    ///   - seed: nil where the run takes the one that was begun with.
    ///   - output: for the sentence.
    /// - Throws: `.usage` naming what differs.
    package func check(origin: [Field], seed: UInt64?, of output: String) throws(LeafError) {
        if let difference = difference(from: origin) {
            throw LeafError(
                .usage,
                "\(output) was begun with \(difference); go on as it was begun, or name another file for the answers")
        }
        if let seed, seed != self.seed {
            throw LeafError(
                .usage,
                "\(output) was begun with seed \(self.seed), this run has \(seed); leave it out, or name another file "
                    + "for the answers")
        }
    }

    /// - Throws: `.usage` for another file of requests.
    package func check(inputBytes: Int, digest: UInt64, of output: String, _ input: String) throws(LeafError) {
        guard (inputBytes, digest) == (self.inputBytes, inputDigest) else {
            throw LeafError(
                .usage,
                "\(input) is not what \(output) was begun with (\(self.inputBytes.sizeText) then, "
                    + "\(inputBytes.sizeText) now); put it back, or name another file for the answers")
        }
    }
}

/// The record of one answer.
struct AnswerRecord: Sendable, Equatable {
    /// Of the request.
    var line: Int
    /// Bytes of the answer, its line feed included.
    var byteCount: Int
    var isFailure: Bool
    /// Of the other numbers and the answer's bytes: it proves both.
    var digest: UInt64

    var text: String { "[\(line),\(byteCount),\"\(digest.hexDigits)\"" + (isFailure ? ",true]\n" : "]\n") }

    init(_ answer: [UInt8], line: Int, isFailure: Bool) throws(LeafError) {
        (self.line, byteCount, self.isFailure) = (line, answer.count, isFailure)
        digest = 0
        var state = try begin()
        answer.withUnsafeBytes { state.update($0) }
        digest = state.value
    }

    /// - Returns: nil for anything else.
    init?(_ bytes: ArraySlice<UInt8>) {
        var numbers: [Int] = []
        var digest: UInt64?
        var isFailure = false
        var reader = JSONReader(bytes)
        do throws(LeafError) {
            try reader.list { reader throws(LeafError) in
                switch try reader.kind() {
                case .text: digest = UInt64(hexDigits: Array(try reader.text().utf8))
                case .bool: isFailure = try reader.bool()
                default: numbers.append(try reader.integer())
                }
            }
            try reader.end()
        } catch {
            return nil
        }
        guard numbers.count == 2, numbers[0] >= 1, numbers[1] >= 1, let digest else { return nil }
        (line, byteCount, self.isFailure, self.digest) = (numbers[0], numbers[1], isFailure, digest)
    }

    /// A digest that the answer's bytes come to.
    func begin() throws(LeafError) -> ChunkDigest {
        var state = try ChunkDigest()
        Array("\(line) \(byteCount) \(isFailure)\n".utf8).withUnsafeBytes { state.update($0) }
        return state
    }
}
