import CPMAntShape
import LeafExecutor
import LeafSystem

/// A text whose blanks have definite lengths: the positions of its rows, and which row predicts which token.
///
/// The mask is that of training: context sees the context on both sides; tokens of blanks see the context, and blanks
/// to their left. So context rows are computed once, whatever the blanks will hold. The row before a token predicts it.
/// In a blank that is the row of the token before; for the first token of a blank it is a row that is known from the
/// start.
package struct FillLayout: Sendable {
    private let request: FillRequest
    /// The lengths of all blanks.
    package let lengths: [Int]
    /// The blanks to fill. Those before them are known; those after them are left empty.
    package let wanted: Range<Int>
    /// For each blank, the index of its first token in the text, counted from `<s>`.
    package let starts: [Int]
    /// The number of tokens of the whole text.
    package let count: Int
    /// The indices of the tokens to find.
    package let positions: [Int]

    init(_ request: FillRequest, lengths: [Int], wanted: Range<Int>) {
        self.request = request
        self.lengths = lengths
        self.wanted = wanted
        var (starts, shift): ([Int], Int) = ([], 0)
        for (blank, length) in zip(request.blanks, lengths) {
            starts.append(blank.position + shift)
            shift += length
        }
        self.starts = starts
        count = request.context.ids.count + shift
        positions = wanted.flatMap { starts[$0]..<starts[$0] + lengths[$0] }
    }

    /// The run of unknown tokens, beginning at `token`, each of which is the first of its blank: a row that is known
    /// from the start predicts it.
    func predicted(from token: Int) -> Range<Int> {
        func isFirst(_ token: Int) -> Bool { token == 0 || positions[token - 1] + 1 < positions[token] }
        var end = token
        while end < positions.count, isFirst(end) { end += 1 }
        return token..<end
    }

    /// The rows that are known from the start, for the first sweep: soft prompt, context, tokens of known blanks.
    func firstRows(
        of sequence: SequenceID, known: [[Int32]], in configuration: ModelConfiguration
    ) -> [RowBatch.Row] {
        var soft = request.context
        soft.ids = []
        var rows = soft.rows(of: sequence, in: configuration, reserving: count) { _ in false }
        var context = 0
        for blank in lengths.indices {
            let end = request.blanks[blank].position
            while context < end {
                rows.append(contextRow(context, shift: starts[blank] - end, of: sequence, in: configuration))
                context += 1
            }
            guard blank < wanted.lowerBound else { continue }
            for (index, id) in known[blank].enumerated() {
                rows.append(row(id, at: starts[blank] + index, of: sequence, in: configuration))
            }
        }
        while context < request.context.ids.count {
            rows.append(
                contextRow(context, shift: count - request.context.ids.count, of: sequence, in: configuration))
            context += 1
        }
        let predictors = Set(predicted(from: 0).map { Int32(configuration.promptLength + positions[$0] - 1) })
        for index in rows.indices where predictors.contains(rows[index].index) { rows[index].wantsLogits = true }
        return rows
    }

    /// The context row that predicts the first token of a blank, to compute it again.
    func predictingRow(
        _ token: Int, of sequence: SequenceID, in configuration: ModelConfiguration
    ) -> RowBatch.Row {
        let position = positions[token]
        let blank = starts.lastIndex { $0 <= position } ?? 0
        let end = request.blanks[blank].position
        var row = contextRow(end - 1, shift: starts[blank] - end, of: sequence, in: configuration)
        row.wantsLogits = true
        return row
    }

    /// The row of a token of a blank.
    func row(
        _ id: Int32, at position: Int, of sequence: SequenceID, in configuration: ModelConfiguration
    ) -> RowBatch.Row {
        var row = request.context.row(of: sequence, generated: id, step: 0, in: configuration)
        row.index = Int32(configuration.promptLength + position)
        row.wantsLogits = false
        return row
    }

    private func contextRow(
        _ index: Int, shift: Int, of sequence: SequenceID, in configuration: ModelConfiguration
    ) -> RowBatch.Row {
        var row = row(request.context.ids[index], at: index + shift, of: sequence, in: configuration)
        row.isContext = true
        return row
    }

    /// The most that the text can need of a model.
    ///
    /// Beams share the pages that do not change after the first sweep: those without an unknown token and without the
    /// row before one.
    func demand(in configuration: ModelConfiguration) -> Demand {
        let width = request.options.width(samples: 1)
        let length = configuration.promptLength + count
        let pages = Demand.pages(holding: length)
        let written = wanted.reduce(0) { $0 + Demand.pages(holding: lengths[$1]) + 1 }
        var (stepRows, fed, decided) = (0, 0, predicted(from: 0).upperBound)
        var logitRows = decided
        while decided < positions.count {
            let next = predicted(from: decided + 1)
            stepRows = max(stepRows, width * (decided - fed) + next.count)
            logitRows = max(logitRows, width + next.count)
            (fed, decided) = (decided, next.upperBound)
        }
        return Demand(
            pages: pages + (width - 1) * min(pages, written), sequences: width, longest: length,
            firstRows: length - lengths[wanted.lowerBound...].reduce(0, +), stepRows: stepRows,
            logitRows: logitRows,
            heapBytes: length *| Demand.rowHeapBytes
                +| 2 *| width
                *| (length *| Demand.idHeapBytes +| positions.count *| request.options.tokenHeapBytes),
            takesDrafts: false)
    }
}
