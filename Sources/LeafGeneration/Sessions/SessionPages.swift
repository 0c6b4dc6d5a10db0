import CPMAntShape
import LeafExecutor
import LeafFormat
import LeafSystem

/// Writes and restores the pages of the KV cache that sequences have.
enum SessionPages {
    /// - Parameter length: the number of positions to keep of each sequence.
    static func write(
        _ sequences: [SequenceID], lengths: [Int], of cache: KVCache, to writer: SessionWriter
    ) throws(LeafError) {
        var numbers: [UInt32: Int] = [:]
        var order: [UInt32] = []
        for (sequence, length) in zip(sequences, lengths) {
            for page in cache.pages(of: sequence, length: length) {
                if numbers[page] == nil {
                    numbers[page] = order.count
                    order.append(page)
                }
                try writer.append(UInt32(numbers[page] ?? 0))
            }
        }
        try writer.append(UInt64(cache.contentBytes))
        for page in order { try writer.append(UnsafeRawBufferPointer(cache.contents(ofPage: page))) }
    }

    /// Makes the sequences that `write` wrote.
    ///
    /// - Parameters:
    ///   - lengths: the lengths that were written.
    ///   - most: the most pages that the sequences may have together.
    ///   - rows: returns the rows of a sequence by its index; as many as its length.
    static func restore(
        lengths: [Int], most: Int, into cache: KVCache, from reader: SessionReader,
        rows: (_ index: Int, _ sequence: SequenceID) -> [RowBatch.Row]
    ) throws(LeafError) -> [SequenceID] {
        var tables: [[Int]] = []
        for length in lengths {
            var table: [Int] = []
            for _ in 0..<((length + Demand.pageKeys - 1) / Demand.pageKeys) {
                let number = Int(try reader.integer(UInt32.self))
                guard number < most else { throw reader.damage }
                table.append(number)
            }
            tables.append(table)
        }
        guard try reader.integer(UInt64.self) == UInt64(cache.contentBytes),
            let (sequences, pages) = try cache.restore(tables, rows: rows)
        else { throw reader.damage }
        do throws(LeafError) {
            for page in pages { try reader.read(into: cache.contents(ofPage: page)) }
        } catch {
            for sequence in sequences { cache.remove(sequence) }
            throw error
        }
        return sequences
    }
}

extension PromptRows {
    /// The rows of the prompt and of the tokens generated after it. None of them wants logits.
    func rows(
        of sequence: SequenceID, followedBy generated: ArraySlice<Int32>, in configuration: ModelConfiguration
    ) -> [RowBatch.Row] {
        var all = rows(of: sequence, in: configuration, reserving: generated.count) { _ in false }
        for (step, id) in generated.enumerated() {
            all.append(row(of: sequence, generated: id, step: step, in: configuration))
        }
        return all
    }
}
