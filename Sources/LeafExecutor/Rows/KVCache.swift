import CLeafKernels
import LeafFormat
package import LeafSystem

/// The precision of cached keys and values.
public enum KVPrecision: String, Sendable, CaseIterable {
    case f16, f32

    var kernelType: leaf_kv { self == .f16 ? LEAF_KV_F16 : LEAF_KV_F32 }
    var elementBytes: Int { self == .f16 ? 2 : 4 }
}

/// The keys and values of all sequences, in pages of 16 positions that hold all layers and heads.
///
/// A page belongs to one sequence, or to several that were forked from one and are equal in that page. Everything is
/// allocated once. If a sequence needs more pages than there are, it is refused before anything is computed.
package final class KVCache {
    /// The properties of a position that decide mask and bias. Every page ends with those of its 16 positions.
    package struct Position: BitwiseCopyable, Sendable {
        package var index: Int32
        package var segment: Int32
        package var span: Int32
        /// The place that a draft stands behind.
        package var parent: Int32
        package var isContext: Bool
        package var isPadding: Bool

        init(_ row: RowBatch.Row) {
            index = row.index
            segment = row.segment
            span = row.span
            parent = row.branch?.parent ?? row.index - 1
            isContext = row.isContext
            isPadding = row.isPadding
        }
    }

    /// A class, because changing a dictionary's value in place allocates.
    private final class Sequence {
        /// Its capacity is the longest sequence's, so that a step allocates nothing.
        var pages: [UInt32] = []
        var length = 0
        /// Where drafts begin, each of which sees only those that it stands behind; nil without drafts.
        var trunk: Int?
        /// Positions that later rows do not see any more. Forks share pages, so this is not in the pages.
        var hidden: [Int] = []
        /// For each hidden position the row that hid it, in rising order. The position comes back when that row goes.
        var hiding: [Int] = []

        init(room: Int) { pages.reserveCapacity(room) }
    }

    package let precision: KVPrecision
    /// The most pages of 16 positions.
    package let pageCount: Int
    /// The number of pages that no sequence has.
    package var freePageCount: Int { freePages.count }
    /// The number of sequences.
    package var sequenceCount: Int { sequences.count }
    /// The most pages of one sequence.
    private let longestPages: Int
    private let layout: PageLayout
    private let arena: Arena
    private let base: UnsafeMutableRawPointer
    private var freePages: [UInt32]
    private var owners: [Int]
    private var sequences: [SequenceID: Sequence] = [:]
    private var nextSequence = 0

    /// Sizes that follow from the model and the precision.
    struct PageLayout: Sendable {
        /// The heads of one attention, one behind another.
        struct Heads {
            let offset: Int
            /// Bytes of one head: its keys, then its values.
            let headBytes: Int
            let count: Int
            let dimHead: Int
        }

        /// By attention.
        let heads: [Heads]
        let positionsOffset: Int

        init(_ attentions: [ModelFacts.Attention], _ precision: KVPrecision) {
            var heads: [Heads] = []
            var offset = 0
            for attention in attentions {
                let headBytes = 2 * 16 * attention.dimHead.roundedUp(to: 16) * precision.elementBytes
                heads.append(
                    Heads(
                        offset: offset, headBytes: headBytes, count: attention.keyHeads, dimHead: attention.dimHead))
                offset += headBytes * attention.keyHeads
            }
            self.heads = heads
            positionsOffset = offset
        }

        var pageBytes: Int { positionsOffset + 16 * MemoryLayout<Position>.stride }
    }

    /// Bytes of all pages, of the lists of who has which, and of the sequences.
    package static func byteCount(
        _ attentions: [ModelFacts.Attention], _ precision: KVPrecision, _ capacity: Demand
    ) -> Int {
        // A page has an owner count and an entry in the list of free pages.
        let pages = capacity.pages *| (PageLayout(attentions, precision).pageBytes + 8 + 4)
        return pages +| capacity.sequences *| (Demand.pages(holding: capacity.longest) *| 4 +| sequenceBytes)
    }

    /// What a sequence takes beside its list of pages: its object, its entry of the table, headers of lists.
    private static let sequenceBytes = 256

    /// - Parameter capacity: its pages and sequences are allocated.
    /// - Throws: `.budget` if the system refuses the memory.
    package init(
        _ attentions: [ModelFacts.Attention], _ precision: KVPrecision, _ capacity: Demand
    ) throws(LeafError) {
        self.precision = precision
        layout = PageLayout(attentions, precision)
        pageCount = capacity.pages
        longestPages = Demand.pages(holding: capacity.longest)
        arena = try Arena(byteCount: pageCount * layout.pageBytes)
        base = UnsafeMutableRawPointer(arena.take(pageCount * layout.pageBytes, of: UInt8.self))
        freePages = (0..<UInt32(pageCount)).reversed()
        sequences.reserveCapacity(capacity.sequences)
        owners = Array(repeating: 0, count: pageCount)
    }

    package func makeSequence() -> SequenceID {
        defer { nextSequence += 1 }
        let id = SequenceID(number: nextSequence)
        sequences[id] = Sequence(room: longestPages)
        return id
    }

    /// Makes a sequence with the same past. Both share pages until one of them writes into them.
    package func fork(_ sequence: SequenceID) -> SequenceID {
        let copy = makeSequence()
        if let original = sequences[sequence] {
            for page in original.pages { owners[Int(page)] += 1 }
            sequences[copy]?.pages.append(contentsOf: original.pages)
            sequences[copy]?.length = original.length
            sequences[copy]?.trunk = original.trunk
            sequences[copy]?.hidden = original.hidden
            sequences[copy]?.hiding = original.hiding
        }
        return copy
    }

    /// Forgets all positions from `length` on, for instance of rejected drafts.
    package func truncate(_ sequence: SequenceID, to length: Int) {
        guard let state = sequences[sequence], length < state.length else { return }
        let pages = Demand.pages(holding: length)
        for page in state.pages[pages...] { release(page) }
        state.pages.removeSubrange(pages...)
        state.length = length
        while let row = state.hiding.last, row >= length {
            state.hiding.removeLast()
            state.hidden.removeLast()
        }
    }

    /// Makes what is left of a sequence's drafts a part of its past, which all later rows see.
    package func endDrafts(of sequence: SequenceID) { sequences[sequence]?.trunk = nil }

    /// Makes a position padding, as long as the row that made it so is there: that row and later ones do not see it.
    ///
    /// - Parameter row: its index, which comes after those of earlier calls and after the position.
    package func hide(_ position: Int, of sequence: SequenceID, with row: Int) {
        guard let state = sequences[sequence] else { return }
        precondition(row > position && row > state.hiding.last ?? -1)
        state.hidden.append(position)
        state.hiding.append(row)
    }

    package func remove(_ sequence: SequenceID) {
        truncate(sequence, to: 0)
        sequences[sequence] = nil
    }

    package func length(of sequence: SequenceID) -> Int { sequences[sequence]?.length ?? 0 }

    /// Prepares the places of the rows; keys and values follow layer by layer.
    ///
    /// Places in between that no row has reached are padding until one does. A place that was used before is written
    /// again.
    ///
    /// - Parameter rows: in ascending order of their places.
    /// - Returns: the number of places that the sequence has now.
    /// - Throws: `.tooLong` when the pages do not suffice; nothing has changed then.
    func place(_ rows: ArraySlice<RowBatch.Row>, in sequence: SequenceID) throws(LeafError) -> Int {
        guard let state = sequences[sequence] else { throw LeafError(.usage, "the sequence was removed") }
        let end = state.length
        let length = max(end, rows.last.map { Int($0.place) + 1 } ?? 0)
        let pagesWanted = Demand.pages(holding: length)
        // The page in which the sequence ended is written even if the rows do not use the rest of it.
        let lastPage = length > end && end % 16 != 0 ? end / 16 : nil
        var copies = lastPage.map { isShared($0, of: state) ? 1 : 0 } ?? 0
        var before = -1
        for row in rows {
            precondition(Int(row.place) > before, "rows of one sequence stand in rising order")
            let page = Int(row.place) / 16
            let isCounted = page == lastPage || before >= page * 16
            if !isCounted, isShared(page, of: state) { copies += 1 }
            before = Int(row.place)
        }
        guard pagesWanted <= longestPages, pagesWanted - state.pages.count + copies <= freePages.count else {
            throw LeafError(
                .tooLong, "the KV cache holds \(pageCount * 16) tokens, \(length) are wanted; plan for a longer context"
            )
        }
        if let lastPage { unshare(lastPage, of: state) }
        for row in rows { unshare(Int(row.place) / 16, of: state) }
        while state.pages.count < pagesWanted { state.pages.append(takePage()) }
        for place in end..<length { positions(page: state.pages[place / 16])[place % 16].isPadding = true }
        for row in rows {
            let place = Int(row.place)
            positions(page: state.pages[place / 16])[place % 16] = Position(row)
            if row.branch != nil, state.trunk == nil { state.trunk = place }
        }
        state.length = length
        return length
    }

    /// The pages of a sequence that exists, in order.
    func withPages<Value>(of sequence: SequenceID, _ body: (UnsafeBufferPointer<UInt32>) -> Value) -> Value {
        (sequences[sequence]?.pages ?? []).withUnsafeBufferPointer(body)
    }

    /// The first place of a sequence's drafts; nil without drafts.
    func trunk(of sequence: SequenceID) -> Int? { sequences[sequence]?.trunk }

    /// The positions that the row at `place` does not see any more.
    func hiddenPositions(of sequence: SequenceID, from place: Int) -> ArraySlice<Int> {
        guard let state = sequences[sequence] else { return [] }
        return state.hidden.prefix(state.hiding.count { $0 <= place })
    }

    /// The 16 positions of a page. Those beyond its sequence's length are undefined.
    func positions(page: UInt32) -> UnsafeMutablePointer<Position> {
        (base + Int(page) * layout.pageBytes + layout.positionsOffset).assumingMemoryBound(to: Position.self)
    }

    /// The offset of one head in every page.
    ///
    /// - Parameter attention: which of `ModelFacts.attentions`.
    func offset(attention: Int, head: Int) -> Int {
        layout.heads[attention].offset + head * layout.heads[attention].headBytes
    }

    /// Calls `body` with the offset of each head in every page, and the width of its keys.
    func forEachHead(_ body: (_ offset: Int, _ dimHead: Int) -> Void) {
        for heads in layout.heads {
            for head in 0..<heads.count { body(heads.offset + head * heads.headBytes, heads.dimHead) }
        }
    }

    /// The address of an offset in a page.
    func page(_ page: UInt32, offset: Int) -> UnsafeMutableRawPointer {
        base + Int(page) * layout.pageBytes + offset
    }

    var pageStride: Int { layout.pageBytes }

    private func takePage() -> UInt32 {
        let page = freePages.removeLast()
        owners[Int(page)] = 1
        // The kernels multiply unused places by zero, which gives zero only for finite numbers.
        (base + Int(page) * layout.pageBytes).initializeMemory(as: UInt8.self, repeating: 0, count: layout.pageBytes)
        return page
    }

    /// Whether the sequence has the page and another sequence has it too.
    private func isShared(_ page: Int, of state: Sequence) -> Bool {
        page < state.pages.count && owners[Int(state.pages[page])] > 1
    }

    /// Gives a sequence its own copy of a page that it shares.
    private func unshare(_ page: Int, of state: Sequence) {
        guard isShared(page, of: state) else { return }
        let original = state.pages[page]
        let copy = freePages.removeLast()
        owners[Int(copy)] = 1
        (base + Int(copy) * layout.pageBytes).copyMemory(
            from: base + Int(original) * layout.pageBytes, byteCount: layout.pageBytes)
        release(original)
        state.pages[page] = copy
    }

    private func release(_ page: UInt32) {
        owners[Int(page)] -= 1
        if owners[Int(page)] == 0 { freePages.append(page) }
    }
}

/// Sequences in the form that a session keeps.
extension KVCache {
    /// Bytes of the keys and values of a page.
    package var contentBytes: Int { layout.positionsOffset }

    /// The keys and values of a page. The rest of a page follows from the rows.
    package func contents(ofPage page: UInt32) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + Int(page) * layout.pageBytes, count: contentBytes)
    }

    /// The pages that hold a sequence's first `length` positions.
    package func pages(of sequence: SequenceID, length: Int) -> ArraySlice<UInt32> {
        sequences[sequence]?.pages.prefix(Demand.pages(holding: length)) ?? []
    }

    /// Makes sequences from rows that were computed before. The caller then fills in the contents of the pages.
    ///
    /// - Parameters:
    ///   - tables: the pages of each sequence, numbered from 0 in the order in which they first occur. A number that
    ///     occurs again is a shared page.
    ///   - rows: returns the rows of the sequence with this index in `tables`.
    /// - Returns: the sequences, and the pages by their numbers; nil if pages and rows do not fit together.
    /// - Throws: `.tooLong` when the pages do not suffice; nothing has changed then.
    package func restore(
        _ tables: [[Int]], rows: (_ index: Int, _ sequence: SequenceID) -> [RowBatch.Row]
    ) throws(LeafError) -> (sequences: [SequenceID], pages: [UInt32])? {
        var pageTotal = 0
        for number in tables.joined() {
            guard (0...pageTotal).contains(number) else { return nil }
            pageTotal = max(pageTotal, number + 1)
        }
        guard pageTotal <= freePages.count else {
            throw LeafError(
                .tooLong,
                "the session needs \(pageTotal) pages of the KV cache, \(freePages.count) are free; plan for more")
        }
        let made = tables.map { _ in makeSequence() }
        let allRows = made.enumerated().map(rows)
        guard zip(tables, allRows).allSatisfy({ $0.count == Demand.pages(holding: $1.count) }) else {
            for sequence in made { remove(sequence) }
            return nil
        }
        let pages = (0..<pageTotal).map { _ in takePage() }
        for page in pages { owners[Int(page)] = 0 }
        for (index, sequence) in made.enumerated() {
            guard let state = sequences[sequence] else { continue }
            state.pages.append(contentsOf: tables[index].map { pages[$0] })
            state.length = allRows[index].count
            for page in state.pages { owners[Int(page)] += 1 }
            for (place, row) in allRows[index].enumerated() {
                positions(page: state.pages[place / 16])[place % 16] = Position(row)
            }
        }
        return (made, pages)
    }
}
