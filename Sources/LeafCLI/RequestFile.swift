import FoundationEssentials
import Leafcutter

/// The requests of a JSON lines file, all of them known to make sense.
struct RequestFile {
    struct Entry {
        let id: JSONText
        let request: GenerationRequest
        /// Of the file, from 1.
        let line: Int
    }

    let entries: [Entry]

    /// - Parameter defaults: what holds where a line says nothing.
    /// - Throws: `.usage` naming the first line that makes no sense.
    init(
        path: String, defaults: RequestLine.Defaults, for file: ModelFile
    ) throws(LeafError) {
        let input = try InputFile(path: path)
        let bytes = try input.bytes(at: 0, count: input.byteCount)
        let decoder = JSONDecoder()
        decoder.userInfo[.defaults] = defaults
        var entries: [Entry] = []
        for (place, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
            do throws(LeafError) {
                entries.append(try Self.entry(line, number: place + 1, decoder, file))
            } catch {
                throw LeafError(.usage, "\(path), line \(place + 1): \(error)")
            }
        }
        guard !entries.isEmpty else {
            throw LeafError(.usage, "\(path) holds no requests; give one JSON object a line")
        }
        self.entries = entries
    }

    private static func entry(
        _ line: ArraySlice<UInt8>, number: Int, _ decoder: JSONDecoder, _ file: ModelFile
    ) throws(LeafError) -> Entry {
        let parsed: RequestLine
        do {
            parsed = try decoder.decode(RequestLine.self, from: Data(line))
        } catch {
            throw error as? LeafError ?? LeafError(.usage, "\(DecodingProblem(error))")
        }
        let request = GenerationRequest(
            prompt: try file.rows(of: parsed.prompt, parsed.options), options: parsed.options, samples: parsed.samples)
        try request.validate(for: file.configuration)
        let id: JSONText =
            switch parsed.id {
            case .text(let text): .string(text)
            case .number(let number): .integer(number)
            case nil: .integer(number)
            }
        return Entry(id: id, request: request, line: number)
    }
}
