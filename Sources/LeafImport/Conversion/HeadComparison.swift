import LeafFormat
import LeafSystem

/// Compares a stored head with the token table. It is the table once more, perhaps rounded to a shorter type, or a
/// matrix of its own.
struct HeadComparison {
    enum Outcome {
        case same
        /// One is the other, rounded.
        case rounded(by: Float)
        /// With the first difference.
        case own(row: Int)
    }

    let head: SourceTensor
    let table: SourceTensor
    /// Of the vocabulary.
    let rows: Int
    let kernels: WeightKernels

    private static let rowsAtATime = 256

    func outcome() throws(LeafError) -> Outcome {
        guard !head.isSame(as: table) else { return .same }
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
        let rounding = head.type == table.type ? .none : Rounding.coarser(of: head.type, table.type)
        var difference: Float = 0
        for begin in stride(from: 0, to: rows, by: Self.rowsAtATime) {
            let range = begin..<min(begin + Self.rowsAtATime, rows)
            let pieces = (
                try readers.0.readPages(rows: range, into: buffers.0.bytes),
                try readers.1.readPages(rows: range, into: buffers.1.bytes)
            )
            converters.0.convert(pieces.0.baseAddress!, count: range.count * columns, to: &floats.0)
            converters.1.convert(pieces.1.baseAddress!, count: range.count * columns, to: &floats.1)
            for index in 0..<range.count * columns {
                let distance = (floats.0[index] - floats.1[index]).magnitude
                guard distance <= rounding.most(of: floats.1[index]) else {
                    return .own(row: begin + index / columns)
                }
                difference = max(difference, distance)
            }
        }
        return difference > 0 ? .rounded(by: difference) : .same
    }
}

/// How far a number may lie from the one that it was rounded from.
private struct Rounding {
    let relative: Float
    /// Half the distance of the smallest numbers.
    let absolute: Float

    static let none = Rounding(relative: 0, absolute: 0)

    static func coarser(of a: SourceTensor.ElementType, _ b: SourceTensor.ElementType) -> Rounding {
        if a == .bf16 || b == .bf16 { return Rounding(relative: 0x1p-8, absolute: 0) }
        return a == .f16 || b == .f16 ? Rounding(relative: 0x1p-11, absolute: 0x1p-25) : .none
    }

    func most(of number: Float) -> Float { relative * number.magnitude + absolute }
}
