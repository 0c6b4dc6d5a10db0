import Foundation
import GoldenSupport
import LeafSystem
import Testing

@Suite("files") struct FileTests {
    @Test func anyRangeOfAFileIsAnErrorOrItsBytes() throws {
        let folder = try TemporaryDirectory()
        try Data([1, 2, 3]).write(to: URL(filePath: folder.path("x")))
        let file = try InputFile(path: folder.path("x"))
        let extremes = [Int.min, -1, 0, 1, 3, 4, 1 << 31, Int.max - 1, Int.max]
        for offset in extremes {
            for count in extremes {
                let isInside = (0...3).contains(offset) && (0...3).contains(count) && offset + count <= 3
                // Nothing is read of an empty range, wherever it lies.
                #expect(((try? file.bytes(at: offset, count: count)) != nil) == (isInside || count == 0))
            }
        }
    }

    /// Whoever reads beyond the end of a file that was cut learns how long it is now, not where the reading began.
    @Test func theEndOfACutFileIsItsSize() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        try Data(count: 100_000).write(to: URL(filePath: path))
        let (whole, readable) = (
            try InputFile(path: path), try ReadableFile(path: path, direct: false, system: .real)
        )
        try #require(truncate(path, 5000) == 0)
        let error = #expect(throws: LeafError.self) { _ = try whole.bytes(at: 8192, count: 4096) }
        #expect(error?.description.contains("ends at offset 5000, ") == true, "\(error as Any)")
        let page = try PageMemory(count: 4096)
        for offset in [4096, 8192, 65_536] {
            let failure = #expect(throws: ReadFailure.self) { try readable.fill(page.bytes, from: offset) }
            #expect(failure?.reason == "the file ends at byte 5000")
        }
    }

    @Test func aResultThatIsAnInputIsRefusedByEveryName() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        try Data([1]).write(to: URL(filePath: path))
        try FileManager.default.linkItem(atPath: path, toPath: folder.path("hard"))
        try FileManager.default.createSymbolicLink(atPath: folder.path("link"), withDestinationPath: "x")
        try FileManager.default.createSymbolicLink(atPath: folder.path("new"), withDestinationPath: "y")
        for name in ["x", "hard", "link"] {
            let error = #expect(throws: LeafError.self) {
                try OutputTarget.check(folder.path(name), isNoneOf: [folder.path("y"), path])
            }
            #expect(error?.kind == .usage && error?.description.contains("overwrite \(path)") == true)
        }
        // Where a link leads to is what gets a neighbour.
        for companion in OutputTarget.Companion.allCases {
            let neighbour = companion.path(of: folder.path("y"))
            try Data([1]).write(to: URL(filePath: neighbour))
            for name in ["y", "new"] {
                #expect(throws: LeafError.self, "\(companion)") {
                    try OutputTarget.check(folder.path(name), with: [companion], isNoneOf: [neighbour])
                }
            }
        }
        for name in ["y", "z", "nowhere/x", "."] {
            try OutputTarget.check(folder.path(name), isNoneOf: [path, folder.url.path, "/dev/null", "-"])
        }
        try OutputTarget.check("/dev/null", isNoneOf: ["/dev/null"])
    }

    @Test func aResultGivesUpAReaderWhoRestsOnlyWhenItIsCancelled() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let path = "/dev/fd/\(ends[1])"
        let cancelled = try UnfinishedFile(path: path, isCancelled: { true })
        // More than a pipe holds.
        let error = #expect(throws: LeafError.self) { try cancelled.append(String(repeating: "x", count: 1 << 20)) }
        #expect(error?.kind == .cancelled)
        // As long as it is read, a cancelled result is written to its end.
        var taken = 0
        var room = [UInt8](repeating: 0, count: 1 << 16)
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        while case let count = read(ends[0], &room, room.count), count > 0 { taken += count }
        #expect(taken > 0 && taken < 1 << 20)
        let short = try UnfinishedFile(path: path, isCancelled: { true })
        try short.append("the end")
        try short.finish()
        #expect(read(ends[0], &room, room.count) == 7)
    }

    @Test func whatAnotherRunWritesIsLeftAlone() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        do {
            let other = try OutputFile(path: path + ".part")
            try other.lock(for: "run")
            try other.write([9], at: 0)
            let error = #expect(throws: LeafError.self) {
                try OutputFile.replace(path) { (part) throws(LeafError) in try part.write([1, 2], at: 0) }
            }
            #expect(error?.kind == .io && error?.description.contains("in use by another run") == true)
            #expect(other.isNamed)
            #expect(try InputFile(path: path + ".part").bytes(at: 0, count: 1) == [9])
            #expect(!FilePath.exists(path))
        }
        // What is in nobody's use may be all that there is of something.
        let refusals = [
            #expect(throws: LeafError.self) { try OutputFile.replace(path) { (_) throws(LeafError) in } },
            #expect(throws: LeafError.self) { try UnfinishedFile(path: path, isCancelled: { false }) },
        ]
        for error in refusals {
            #expect(error?.kind == .usage && error?.description.contains("\(path).part is there already") == true)
        }
        #expect(try InputFile(path: path + ".part").bytes(at: 0, count: 1) == [9])
        try FilePath.remove(path + ".part")
        try OutputFile.replace(path) { (part) throws(LeafError) in try part.write([1, 2], at: 0) }
        #expect(try InputFile(path: path).byteCount == 2 && !FilePath.exists(path + ".part"))
    }

    /// The result itself, as the answers of a job are, and what is kept beside it.
    @Test(arguments: ["", ".part", ".lock", ".job", ".journal"]) func aResultThatAnotherRunHasIsNotReplaced(
        name: String
    ) throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        for _ in 0..<2 {
            let other = try OutputFile(path: path + name)
            try other.lock(for: "run")
            let error = #expect(throws: LeafError.self) { try OutputFile.replace(path) { (_) throws(LeafError) in } }
            #expect(
                error?.kind == .io && error?.description.contains("\(path)\(name) is in use by another run") == true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["x" + name])
            withExtendedLifetime(other) {}
        }
        if name != ".journal" { try OutputFile.replace(path) { (_) throws(LeafError) in } }
    }

    @Test func aFinishedResultIsNobodysAnyMore() throws {
        let folder = try TemporaryDirectory()
        let first = try UnfinishedFile(path: folder.path("x"), isCancelled: { false })
        try first.finish()
        try UnfinishedFile(path: folder.path("x"), isCancelled: { false }).finish()
        withExtendedLifetime(first) {}
    }

    @Test func anUnfinishedConversionIsNoPlaceForAResult() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        for name in [".part", ".journal"] { try Data(repeating: 0, count: 20).write(to: URL(filePath: path + name)) }
        let error = #expect(throws: LeafError.self) { try UnfinishedFile(path: path, isCancelled: { false }) }
        #expect(error?.kind == .usage && error?.description.contains("is an unfinished conversion") == true)
        #expect(try InputFile(path: path + ".part").byteCount == 20)
    }

    @Test func whatHasOtherNamesIsNotWrittenThrough() throws {
        let folder = try TemporaryDirectory()
        let (path, other) = (folder.path("x"), folder.path("other"))
        try Data(repeating: 0, count: 20).write(to: URL(filePath: other))
        #expect(link(other, path + ".part") == 0)
        try OutputFile.replace(path) { (part) throws(LeafError) in try part.write([1, 2, 3], at: 0) }
        #expect(try Data(contentsOf: URL(filePath: other)) == Data(repeating: 0, count: 20))
        #expect(try Data(contentsOf: URL(filePath: path)) == Data([1, 2, 3]))
        try Data().write(to: URL(filePath: other))
        #expect(link(other, path + ".scratch") == 0)
        let (output, input) = try OutputFile.nameless(path + ".scratch")
        try output.write([7], at: 0)
        #expect(try InputFile(path: other).byteCount == 0 && input.bytes(at: 0, count: 1) == [7])
        #expect(!FilePath.exists(path + ".scratch"))
    }

    /// As a run leaves it that is killed at any time: it is told from somebody's file by its first bytes.
    @Test func whatAKilledRunLeftMakesWay() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        let text = Array("0123456789abcdef".utf8)
        for size in [0, 1, 7, 8, 9, 16] {
            for step in [1, 3, 8, 16] {
                let killed = try OutputFile.unfinished(path)
                for begin in stride(from: 0, to: size, by: step) {
                    try killed.write(Array(text[begin..<min(size, begin + step)]), at: begin)
                }
                let left = try InputFile(path: path + ".part")
                #expect(left.byteCount == size)
                #expect(try left.bytes(at: 0, count: min(8, size)).allSatisfy { $0 == 0 })
                #expect(throws: Never.self) { try OutputFile.requireUnfinished(path + ".part") }
                try killed.finish(as: path, isDurable: false)
                #expect(try InputFile(path: path).bytes(at: 0, count: size) == Array(text.prefix(size)))
                // The same under the other name is somebody's.
                try FilePath.rename(path, to: path + ".part")
                if size > 0 {
                    #expect(throws: LeafError.self) { try OutputFile.requireUnfinished(path + ".part") }
                    try FilePath.remove(path + ".part")
                }
            }
        }
    }

    @Test(arguments: [0o600, 0o640, 0o400] as [mode_t]) func aResultIsAsPrivateAsWhatItReplaces(mode: mode_t) throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        try Data([1]).write(to: URL(filePath: path))
        #expect(chmod(path, mode) == 0)
        func permissions(_ path: String) -> mode_t {
            var status = stat()
            return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
        }
        let mayWrite = access(path, W_OK) == 0
        do throws(LeafError) {
            try OutputFile.replace(path) { (part) throws(LeafError) in
                #expect(permissions(path + ".part") == mode)
                try part.write([2], at: 0)
            }
            #expect(mayWrite)
        } catch {
            // Whoever may not write a file may not replace it either.
            #expect(!mayWrite && error.description.contains("\(path) cannot be written"))
            #expect(!FilePath.exists(path + ".part"))
        }
        #expect(permissions(path) == mode)
        #expect(try InputFile(path: path).bytes(at: 0, count: 1) == [mayWrite ? 2 : 1])
    }

    @Test func pagesOfAnUnfinishedFileKeepTheirBytes() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        let pages = try PageMemory(count: 3 * 4096)
        for index in 0..<pages.bytes.count { pages.bytes[index] = UInt8(truncatingIfNeeded: index % 251 + 1) }
        try OutputFile.replace(path) { (part) throws(LeafError) in
            try part.writePages(UnsafeRawBufferPointer(rebasing: pages.bytes[..<8192]), at: 0)
            try part.writePages(UnsafeRawBufferPointer(rebasing: pages.bytes[8192...]), at: 8192)
        }
        #expect(try InputFile(path: path).bytes(at: 0, count: pages.bytes.count) == Array(pages.bytes))
    }

    @Test func whatAnotherRunWritesIsNoNameForAResult() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x.part")
        let other = try UnfinishedFile(path: folder.path("x"), isCancelled: { false })
        let error = #expect(throws: LeafError.self) { try UnfinishedFile(path: path, isCancelled: { false }) }
        #expect(error?.description.contains("\(path) is in use by another run") == true)
        try other.finish()
        #expect(!FilePath.exists(path) && !FilePath.exists(path + ".part"))
    }

    @Test func whatWaitsForAnotherRunGetsItsTurn() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        let other = try UnfinishedFile(path: path, isCancelled: { false })
        let waiting = Task.detached {
            try UnfinishedFile(path: path, patience: .seconds(30), isCancelled: { false }).finish()
        }
        try await Task.sleep(for: .milliseconds(100))
        try other.append("first")
        try other.finish()
        try await waiting.value
        #expect(try InputFile(path: path).byteCount == 0 && !FilePath.exists(path + ".part"))
    }

    @Test func whatIsNoRegularFileIsSaidSo() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x.part")
        for make in [{ mkfifo($0, 0o600) }, { symlink("y", $0) }] as [(String) -> Int32] {
            try #require(make(path) == 0)
            let error = #expect(throws: LeafError.self) {
                try UnfinishedFile(path: folder.path("x"), isCancelled: { false })
            }
            #expect(error?.kind == .usage && error?.description.contains("\(path) is not a regular file") == true)
            try FilePath.remove(path)
        }
        #expect(!FilePath.exists(folder.path("y")))
    }

    /// Whatever its sentence says, and whoever hands it on.
    @Test(arguments: [(ENOSPC, true, false), (EDQUOT, true, false), (EFBIG, false, true), (EIO, false, false)])
    func anErrorOfWritingKnowsItsReason(code: Int32, isDiskFull: Bool, isFileTooLarge: Bool) throws {
        let folder = try TemporaryDirectory()
        var calls = WriteCalls()
        calls.write = { _, _, _, _ in
            errno = code
            return -1
        }
        let file = try OutputFile(path: folder.path("a is full after b would be larger than c"), calls: calls)
        let error = #expect(throws: LeafError.self) { try file.write([1], at: 0) }
        for error in [try #require(error), try #require(error).about("file"), .system("x cannot be made", code)] {
            #expect(error.kind == .io && error.systemCode == code)
            #expect(error.isDiskFull == isDiskFull && error.isFileTooLarge == isFileTooLarge, "\(error)")
        }
        let other = LeafError(.io, "the disk of x is full after 1 MB; a file would be larger than it may be")
        #expect(!other.isDiskFull && !other.isFileTooLarge)
    }

    @Test func aFolderIsFilledByOneRunAtATime() throws {
        let folder = try TemporaryDirectory()
        for _ in 0..<2 {
            let first = try FolderLock(folder.url.path)
            let error = #expect(throws: LeafError.self) { _ = try FolderLock(folder.url.path) }
            #expect(error?.kind == .io && error?.description.contains("in use by another run") == true)
            withExtendedLifetime(first) {}
        }
        #expect(throws: LeafError.self) { _ = try FolderLock(folder.path("none")) }
    }

    @Test func aFileGetsItsNameWhenItIsWhole() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("x")
        try OutputFile.replace(path) { (part) throws(LeafError) in try part.write([1, 2, 3], at: 0) }
        #expect(try InputFile(path: path).bytes(at: 0, count: 3) == [1, 2, 3])
        let error = #expect(throws: LeafError.self) {
            try OutputFile.replace(path) { (part) throws(LeafError) in
                try part.write([4], at: 0)
                throw LeafError(.cancelled, "no")
            }
        }
        #expect(error?.kind == .cancelled)
        #expect(try InputFile(path: path).byteCount == 3)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["x"])
    }
}
