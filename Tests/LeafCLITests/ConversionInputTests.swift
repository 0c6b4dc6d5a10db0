import Foundation
import GoldenSupport
import LeafArguments
import LeafCLI
import Testing

/// What a checkpoint's files, their names and the environment can do to a conversion.
@Suite struct ConversionInputTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// A copy of a small checkpoint under another name.
    private func checkpoint(_ name: String) throws -> String {
        let source = Golden.model("ant-tiny-c/cpm-live")
        for suffix in ["pt", "json"] {
            try FileManager.default.copyItem(
                atPath: source.appendingPathComponent("ant-tiny-c.\(suffix)").path,
                toPath: folder.path("\(name).\(suffix)"))
        }
        return folder.path("\(name).pt")
    }

    private func expectNoControls(_ text: String) {
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control }, "\(text)")
    }

    @Test func namesOfFilesCannotSpeakToTheTerminal() throws {
        let name = "\u{1B}]0;owned\u{7}\u{9B}31m"
        let source = try checkpoint(name)
        let model = folder.path("\(name).leaf")
        let made = try Leafcutter.run("convert", source, model)
        #expect(made.status == 0 && made.error.contains(#"\u{1b}]0;owned\u{7}\u{9b}31m.leaf"#), "\(made.error)")
        expectNoControls(made.error)
        let shown = try Leafcutter.run("inspect", model, "--tensors")
        #expect(shown.status == 0 && shown.text.contains(#"\u{1b}]0;owned"#))
        expectNoControls(shown.text)
        let object = try Leafcutter.run("inspect", model, "--json")
        #expect(object.json?["file"] as? String == model)
        let verified = try Leafcutter.run("verify", model)
        #expect(verified.status == 0)
        expectNoControls(verified.text + verified.error)
        for command in ["inspect", "verify", "generate"] {
            let run = try Leafcutter.run([command, folder.path("\(name).none")] + (command == "generate" ? ["x"] : []))
            #expect(run.status == 1 && run.error.contains(#"\u{1b}]0;owned"#))
            expectNoControls(run.error)
        }
    }

    @Test func theInstructionSetThatIsForcedConverts() throws {
        let source = try checkpoint("m")
        let wrong = try Leafcutter.run(
            ["convert", source, folder.path("a.leaf")], environment: ["LEAFCUTTER_ISA": "mmx"])
        #expect(wrong.status == 2 && wrong.error.contains("LEAFCUTTER_ISA=mmx"), "\(wrong.error)")
        var files: [Data] = []
        for set in ["scalar", ""] {
            let path = folder.path("model.leaf")
            let run = try Leafcutter.run(
                ["convert", source, path, "--force", "--weights", "f16"], environment: ["LEAFCUTTER_ISA": set])
            #expect(run.status == 0, "\(run.error)")
            files.append(try Data(contentsOf: URL(filePath: path)))
        }
        #expect(files[0] == files[1])
        let export = try Leafcutter.run(
            ["export", folder.path("model.leaf"), folder.path("out")], environment: ["LEAFCUTTER_ISA": "mmx"])
        #expect(export.status == 2 && export.error.contains("LEAFCUTTER_ISA=mmx"))
    }

    @Test(arguments: ["1GB", "1GB/s", "1000MB/S", "1000000000"]) func aRateIsWrittenEitherWay(rate: String) throws {
        let model = try Models.shared.get().demo
        let plan = try Leafcutter.run(
            "plan", model, "--context", "64", "--memory", "1GiB", "--disk-rate", rate, "--json", "-q")
        #expect(plan.status == 0, "\(plan.error)")
        let run = try Leafcutter.run(
            "generate", model, "春", "--max-tokens", "1", "--max-read-rate", rate, "--json", "-q")
        #expect(run.status == 0, "\(run.error)")
    }

    /// Every command with such an option says what it understood, and how megabytes are written.
    @Test func aRateWithoutItsUnitIsNotTakenForBytes() throws {
        let rates: Set = ["max-read-rate", "disk-rate"]
        var tried = 0
        for outline in Program.outlines {
            for option in outline.options where rates.contains(option.name) {
                try Leafcutter.expectRefusal(
                    [outline.name, "--\(option.name)", "5"], 2, "--\(option.name) 5 means 5 bytes a second, ")
                try Leafcutter.expectRefusal([outline.name, "--\(option.name)", "5"], 2, " 5MB/s for megabytes")
                try Leafcutter.expectRefusal([outline.name, "--\(option.name)=5B/s"], 2, "at least 1kB/s")
                tried += 1
            }
        }
        #expect(tried > 8)
    }

    @Test(arguments: [
        ("0", "is too small"), ("0/s", "is too small"), ("99999999999GB/s", "is too large"),
        ("1GB/m", "is not a rate such as"), ("-1", "is not a rate such as"), ("1GB/s/s", "is not a rate such as"),
    ])
    func whatIsNoRateIsRefused(rate: String, reason: String) throws {
        let model = try Models.shared.get().demo
        try Leafcutter.expectRefusal(["plan", model, "--disk-rate", rate], 2, reason)
        try Leafcutter.expectRefusal(["generate", model, "x", "--max-read-rate", rate], 2, reason)
    }
}
