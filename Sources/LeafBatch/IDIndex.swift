import LeafFormat
package import LeafSystem

/// Finds ids that come twice, among any number of them, in a fixed amount of memory.
///
/// For each id it keeps a digest and where the id stands. What does not fit is sorted and put into a file without a
/// name, and merged from there. Equal digests say only where to look: the ids themselves are compared.
package final class IDIndex {
    package struct Place: Equatable {
        package var line: Int
        /// Of the line in the file.
        package var offset: Int

        package init(line: Int, offset: Int) { (self.line, self.offset) = (line, offset) }
    }

    private struct Entry {
        var digest: UInt64
        var place: Place

        /// The order of digests, and of lines among equal ones.
        func comes(before other: Entry) -> Bool {
            digest == other.digest ? place.line < other.place.line : digest < other.digest
        }
    }

    /// Entries that are sorted in memory.
    private let runLength: Int
    /// Runs that are merged at the same time, each through a buffer of so many entries.
    private let fanIn: Int
    private static let bufferLength = 170
    /// Ids of one digest that are not the same at most: nobody who does not know `salt` can make two.
    private static let mostOfOneDigest = 64

    private let salt = UInt64.random(in: .min ... .max)
    private let scratch: ScratchFile
    private var pending: [Entry] = []
    /// Sorted runs in the scratch file: bytes.
    private var runs: [Range<Int>] = []

    /// - Parameter path: of a file that is made where memory is not enough, and loses its name at once.
    package init(path: String, runLength: Int = 1 << 14, fanIn: Int = 64) {
        (self.runLength, self.fanIn) = (runLength, fanIn)
        scratch = ScratchFile(path: path)
    }

    package func add(_ id: [UInt8], at place: Place) throws(LeafError) {
        if pending.isEmpty { pending.reserveCapacity(runLength) }
        let salted = withUnsafeBytes(of: salt) { Array($0) } + id
        pending.append(Entry(digest: ChunkDigest.of(salted), place: place))
        if pending.count == runLength { try spill() }
    }

    /// Finds what came twice, once all ids are there.
    ///
    /// - Parameters:
    ///   - id: the id that stands somewhere.
    ///   - onDuplicate: handed the place of an id and that of its first one.
    package func finish(
        id: (Place) throws(LeafError) -> [UInt8],
        onDuplicate: (_ place: Place, _ first: Place) throws(LeafError) -> Void
    ) throws(LeafError) {
        var digest: UInt64?
        /// Places of this digest, whose ids all differ.
        var different: [Place] = []
        func take(_ entry: Entry) throws(LeafError) {
            guard entry.digest == digest else {
                (digest, different) = (entry.digest, [entry.place])
                return
            }
            let own = try id(entry.place)
            for place in different where try id(place) == own { return try onDuplicate(entry.place, place) }
            guard different.count < Self.mostOfOneDigest else {
                throw LeafError(.badInput, "\(different.count) ids have one digest; run the same command again")
            }
            different.append(entry.place)
        }
        if runs.isEmpty {
            pending.sort { $0.comes(before: $1) }
            for entry in pending { try take(entry) }
        } else {
            try spill()
            while runs.count > fanIn { try mergeOnce() }
            try merge(runs, take)
        }
        pending = []
    }

    /// Bytes that it takes at most: entries to sort or buffers to merge, and the table of runs.
    static func byteCount(ids: Int) -> Int {
        let (runLength, fanIn) = (1 << 14, 64)
        let entry = MemoryLayout<Entry>.stride
        return entry *| runLength +| 2 *| (fanIn + 1) *| entry *| bufferLength
            +| 2 *| MemoryLayout<Range<Int>>.stride *| ids.units(of: runLength)
    }

    private func spill() throws(LeafError) {
        guard !pending.isEmpty else { return }
        pending.sort { $0.comes(before: $1) }
        runs.append(try append(pending))
        pending.removeAll(keepingCapacity: true)
    }

    private func append(_ entries: [Entry]) throws(LeafError) -> Range<Int> {
        try entries.withUnsafeBufferPointer { (entries) throws(LeafError) in
            try scratch.append(UnsafeRawBufferPointer(entries))
        }
    }

    /// Makes of each few runs one.
    private func mergeOnce() throws(LeafError) {
        pending = []
        var merged: [Range<Int>] = []
        for begin in stride(from: 0, to: runs.count, by: fanIn) {
            let group = Array(runs[begin..<min(begin + fanIn, runs.count)])
            let start = scratch.byteCount
            var buffer: [Entry] = []
            buffer.reserveCapacity(Self.bufferLength)
            try merge(group) { entry throws(LeafError) in
                buffer.append(entry)
                guard buffer.count == Self.bufferLength else { return }
                _ = try append(buffer)
                buffer.removeAll(keepingCapacity: true)
            }
            _ = try append(buffer)
            merged.append(start..<scratch.byteCount)
            scratch.free(group[0].lowerBound..<group[group.count - 1].upperBound)
        }
        runs = merged
    }

    private func merge(
        _ runs: [Range<Int>], _ body: (Entry) throws(LeafError) -> Void
    ) throws(LeafError) {
        pending = []
        var heads: [(entry: Entry, rest: RunReader)] = []
        for run in runs {
            var reader = RunReader(left: run)
            if let first = try reader.next(scratch) { heads.append((first, reader)) }
        }
        while var least = heads.indices.first {
            for index in heads.indices where heads[index].entry.comes(before: heads[least].entry) { least = index }
            try body(heads[least].entry)
            if let next = try heads[least].rest.next(scratch) {
                heads[least].entry = next
            } else {
                heads.remove(at: least)
            }
        }
    }

    /// The entries of one run, some at a time.
    private struct RunReader {
        /// Bytes that were not read yet.
        var left: Range<Int>
        private var buffer: [Entry] = []
        private var taken = 0

        init(left: Range<Int>) { self.left = left }

        mutating func next(_ scratch: ScratchFile) throws(LeafError) -> Entry? {
            if taken == buffer.count {
                let stride = MemoryLayout<Entry>.stride
                let count = min(IDIndex.bufferLength, left.count / stride)
                guard count > 0 else { return nil }
                buffer = Array(
                    repeating: Entry(digest: 0, place: Place(line: 0, offset: 0)), count: count)
                var failure: LeafError?
                buffer.withUnsafeMutableBytes { bytes in
                    do throws(LeafError) {
                        try scratch.read(at: left.lowerBound, into: bytes)
                    } catch {
                        failure = error
                    }
                }
                if let failure { throw failure }
                left = left.lowerBound + count * stride..<left.upperBound
                taken = 0
            }
            taken += 1
            return buffer[taken - 1]
        }
    }
}

/// A file without a name, which is gone with its owner.
private final class ScratchFile {
    private(set) var byteCount = 0
    private let path: String
    private var file: (output: OutputFile, input: InputFile)?

    init(path: String) { self.path = path }

    /// - Returns: where the bytes stand.
    func append(_ bytes: UnsafeRawBufferPointer) throws(LeafError) -> Range<Int> {
        try made().output.write(bytes, at: byteCount)
        defer { byteCount += bytes.count }
        return byteCount..<byteCount + bytes.count
    }

    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        try made().input.read(at: offset, into: target)
    }

    /// Gives the disk back what is not needed any more, where it can.
    func free(_ range: Range<Int>) { try? file?.output.free(range) }

    private func made() throws(LeafError) -> (output: OutputFile, input: InputFile) {
        if let file { return file }
        let new = try OutputFile.nameless(path)
        file = new
        return new
    }
}
