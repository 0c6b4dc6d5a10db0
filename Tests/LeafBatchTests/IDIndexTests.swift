import GoldenSupport
import LeafBatch
import LeafSystem
import Testing

/// Ids that come twice, compared with a dictionary.
@Suite struct IDIndexTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// Lines of ids, and what is found of them: the line of each duplicate with the line of its first.
    private func found(_ ids: [String], runLength: Int, fanIn: Int) throws -> [Int: Int] {
        let index = IDIndex(path: folder.path("scratch"), runLength: runLength, fanIn: fanIn)
        for (line, id) in ids.enumerated() {
            try index.add(Array(id.utf8), at: IDIndex.Place(line: line + 1, offset: 10 * line))
        }
        var found: [Int: Int] = [:]
        try index.finish(
            id: { place in
                #expect(place.offset == 10 * (place.line - 1))
                return Array(ids[place.line - 1].utf8)
            }, onDuplicate: { place, first in found[place.line] = first.line })
        return found
    }

    private func expected(_ ids: [String]) -> [Int: Int] {
        var (first, duplicates): ([String: Int], [Int: Int]) = ([:], [:])
        for (line, id) in ids.enumerated() {
            if let earlier = first[id] { duplicates[line + 1] = earlier } else { first[id] = line + 1 }
        }
        return duplicates
    }

    /// In memory, in one merge, in several merges of merges; runs that end just so and not.
    @Test(arguments: [(1000, 64), (10, 64), (4, 2), (7, 3), (1, 2), (200, 2)])
    func everyDuplicateIsFoundWhereverItLies(runLength: Int, fanIn: Int) throws {
        var random = SeededGenerator(seed: 5)
        for count in [0, 1, 2, 200, 333] {
            let ids = (0..<count).map { _ in "\(Int.random(in: 0..<2 * max(1, count), using: &random))" }
            #expect(try found(ids, runLength: runLength, fanIn: fanIn) == expected(ids))
        }
    }

    @Test func oneIDEverywhereIsADuplicateOfItsFirstLine() throws {
        let ids = Array(repeating: "same", count: 100)
        #expect(try found(ids, runLength: 8, fanIn: 2) == expected(ids))
    }

    @Test func theScratchFileHasNoName() throws {
        _ = try found((0..<100).map { "\($0)" }, runLength: 8, fanIn: 2)
        #expect(!FilePath.exists(folder.path("scratch")))
    }
}
