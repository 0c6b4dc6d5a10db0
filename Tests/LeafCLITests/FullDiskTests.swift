import Foundation
import GoldenSupport
import Testing

/// A kernel that takes no more bytes: the first half of the work is kept, or nothing, and the same command finishes it.
@Suite struct FullDiskTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// Runs the program where no file may grow beyond a size.
    private func run(_ arguments: [String], fileKibibytes: Int) throws -> Leafcutter.Run {
        let words = arguments.map { "'\($0)'" }.joined(separator: " ")
        return try Leafcutter.shell("ulimit -f \(fileKibibytes); exec \"$0\" \(words)")
    }

    private func expectTooLarge(_ run: Leafcutter.Run, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(run.status == 1, "\(run.error)", sourceLocation: sourceLocation)
        let lines = run.error.split(separator: "\n")
        #expect(lines.count == 1, "\(run.error)", sourceLocation: sourceLocation)
        // The disk has room: what stops the writing is named.
        #expect(
            lines.last?.contains("would be larger than the limit on the size of a file") == true, "\(run.error)",
            sourceLocation: sourceLocation)
    }

    @Test(arguments: [1, 100, 6000, 12_000]) func aConversionGoesOnWhenThereIsRoom(fileKibibytes: Int) throws {
        let path = folder.path("m.leaf")
        let command = ["convert", Golden.demoModel.path, path, "-q"]
        expectTooLarge(try run(command, fileKibibytes: fileKibibytes))
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(try Leafcutter.run("inspect", path + ".part").status == 1)
        #expect(try Leafcutter.run(command).status == 0)
        let whole = try Data(contentsOf: URL(filePath: Models.shared.get().demo))
        #expect(try Data(contentsOf: URL(filePath: path)) == whole)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["m.leaf"])
    }

    @Test func anExportLeavesNoCheckpoint() throws {
        let path = folder.path("hf")
        let command = ["export", try Models.shared.get().demo, path, "-q"]
        expectTooLarge(try run(command, fileKibibytes: 20_000))
        #expect(!FileManager.default.fileExists(atPath: path + "/model.safetensors"))
        #expect(!FileManager.default.fileExists(atPath: path + "/config.json"))
        #expect(try Leafcutter.run("convert", path, folder.path("again.leaf")).status == 1)
        #expect(try Leafcutter.run(command).status == 0)
        #expect(try Leafcutter.run("convert", path, folder.path("again.leaf"), "-q").status == 0)
    }

    @Test func logitsLeaveNothing() throws {
        let (cases, output) = (folder.path("cases.json"), folder.path("out.safetensors"))
        try Data(#"{"cases":[{"id":"a","input_ids":[6,20,30,40,50,60,70,80,90]}]}"#.utf8)
            .write(to: URL(filePath: cases))
        let command = ["logits", try Models.shared.get().demo, "--input", cases, "--output", output, "-q"]
        expectTooLarge(try run(command, fileKibibytes: 500))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["cases.json"])
        #expect(try Leafcutter.run(command).status == 0)
    }

    private static let canMount =
        (try? Leafcutter.shell("unshare --user --map-root-user --mount mount -t tmpfs none /mnt").status) == 0

    /// A file system of its own that is full, in a namespace where the test may mount one.
    @Test(.enabled(if: canMount, "this user may not mount a file system"))
    func aFullFileSystemIsSaidSo() throws {
        let model = try Models.shared.get().demo
        let disk = folder.path("disk")
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        try Data(#"{"cases":[{"id":"a","input_ids":[6,20,30,40,50,60,70,80,90]}]}"#.utf8)
            .write(to: URL(filePath: folder.path("cases.json")))
        let run = try Leafcutter.shell(
            """
            exec unshare --user --map-root-user --mount bash -c '
                cd "$4" && mount -t tmpfs -o size=1m none disk
                "$1" logits "$2" --input cases.json --output disk/out.safetensors -q; echo $?
                "$1" convert "$3" disk/m.leaf -q; echo $?
                "$1" export "$2" disk/hf -q; echo $?
                echo disk/*.safetensors* disk/*.leaf disk/hf/*
            ' bash "$0" "$@"
            """, model, Golden.demoModel.path, folder.url.path)
        #expect(run.text == "1\n1\n1\ndisk/*.safetensors* disk/*.leaf disk/hf/*\n")
        let sentences = run.error.split(separator: "\n")
        #expect(sentences.count == 3, "\(run.error)")
        #expect(sentences.first?.contains("the disk of disk/out.safetensors.part is full after") == true)
        #expect(sentences.dropFirst().allSatisfy { $0.contains("are free") }, "\(run.error)")
    }
}
