import CPMAntShape
import LeafSystem

/// Compares a stored head with the token table. CPM-Ant ties them, so a checkpoint that stores both must have the same
/// numbers.
struct HeadComparison {
    private let head: SourceTensor?
    private let table: SourceTensor?
    private let rows: Int
    private let kernels: WeightKernels

    /// Differences up to this share of the largest weight come from saving in another precision.
    private static let tolerance: Float = 1e-2
    private static let rowsAtATime = 256

    init(_ checkpoint: Checkpoint, _ kernels: WeightKernels) {
        self.kernels = kernels
        head = checkpoint.head
        if case .floats(let tensor) = checkpoint.matrices[TensorName.tokenTable] { table = tensor } else { table = nil }
        rows = checkpoint.configuration.vocabSize
    }

    /// - Returns: a warning if the two differ a little.
    /// - Throws: `.badInput` if they differ by more than rounding.
    func warning() throws(LeafError) -> String? {
        guard let head, let table, !head.isSame(as: table) else { return nil }
        let readers = (try RowReader(head), try RowReader(table))
        let converters = (try FloatConverter(head, kernels), try FloatConverter(table, kernels))
        let buffers = (
            try PageMemory(count: Self.rowsAtATime * readers.0.rowBytes + RowReader.pageRoom),
            try PageMemory(count: Self.rowsAtATime * readers.1.rowBytes + RowReader.pageRoom)
        )
        let columns = readers.1.columns
        var floats = (
            [Float](repeating: 0, count: Self.rowsAtATime * columns),
            [Float](repeating: 0, count: Self.rowsAtATime * columns)
        )
        var largest: Float = 0
        var difference: Float = 0
        var row = 0
        for begin in stride(from: 0, to: rows, by: Self.rowsAtATime) {
            let range = begin..<min(begin + Self.rowsAtATime, rows)
            let pieces = (
                try readers.0.readPages(rows: range, into: buffers.0.bytes),
                try readers.1.readPages(rows: range, into: buffers.1.bytes)
            )
            converters.0.convert(pieces.0.baseAddress!, count: range.count * columns, to: &floats.0)
            converters.1.convert(pieces.1.baseAddress!, count: range.count * columns, to: &floats.1)
            for index in 0..<range.count * columns {
                largest = max(largest, floats.1[index].magnitude)
                let distance = (floats.0[index] - floats.1[index]).magnitude
                if distance > difference || distance.isNaN {
                    difference = distance
                    row = begin + index / columns
                }
            }
        }
        guard !difference.isNaN, difference <= largest * Self.tolerance else {
            throw LeafError(
                .badInput,
                "\(head.storage.path): \(head.name) differs from the token table (by \(difference) in row \(row)), "
                    + "but CPM-Ant has one table for both; tie them or remove \(head.name)")
        }
        guard difference > 0 else { return nil }
        return "\(head.name) differs from the token table by up to \(difference); the token table is used for both"
    }
}
