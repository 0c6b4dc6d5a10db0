import LeafFormat
import LeafSystem
import Leafcutter

/// Reads and writes results as JSON lines.
enum BenchLines {
    private static let limitBytes = 64 << 20

    /// - Parameter path: `-` is standard input.
    static func read(_ path: String) throws(LeafError) -> [BenchRun] {
        let input = try InputBytes(path: path)
        guard let bytes = try input.all(atMost: limitBytes) else {
            throw LeafError(
                .badInput, "\(input.name) has more than \(ByteCount(bytes: limitBytes)), too much for lines of results")
        }
        return try parse(bytes, input.name)
    }

    /// - Throws: `.badInput` naming the line.
    static func parse(_ bytes: [UInt8], _ source: String) throws(LeafError) -> [BenchRun] {
        var runs: [BenchRun] = []
        for (number, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        where !line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) {
            let run: BenchRun
            do throws(LeafError) {
                run = try JSONReader.decode(BenchRun.self, from: line)
            } catch {
                throw LeafError(.badInput, "\(source), line \(number + 1): \(error.description)")
            }
            guard run.isSound else {
                throw LeafError(
                    .badInput,
                    "\(source), line \(number + 1): budgets and times have to be numbers above nothing, and a name one line without |"
                )
            }
            runs.append(run)
        }
        guard !runs.isEmpty else { throw LeafError(.badInput, "\(source) holds no results") }
        return runs
    }
}
