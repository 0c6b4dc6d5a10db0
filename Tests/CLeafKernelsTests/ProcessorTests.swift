import CKernelChecks
import CLeafKernels
import Foundation
import Testing

@Suite("processors") struct ProcessorTests {
    @Test func namesFindWhatIsHere() {
        #expect(leaf_kernels_named("sse9") == nil)
        #expect(leaf_kernels_named("") == nil)
        var names: [String] = []
        while let name = leaf_kernels_name(names.count) { names.append(String(cString: name)) }
        #expect(names == ["scalar", "avx2", "avxvnni", "avx512", "amx", "neon", "i8mm"])
        #expect(leaf_kernels_named("scalar") != nil)
        for name in names {
            guard let found = leaf_kernels_named(name) else { continue }
            #expect(String(cString: found.pointee.name) == name)
            for layout in Layout.allCases {
                let product = leaf_kernels_product(found, layout.kernel).pointee
                #expect(product.layout == layout.kernel)
                #expect(String(cString: product.name) == name)
            }
        }
        #expect(leaf_kernels_best() == names.compactMap { leaf_kernels_named($0) }.last)
    }

    @Test(arguments: InstructionSet.fast)
    func digestsEqualScalar(set: InstructionSet) {
        for check in 0..<kernel_check_count() {
            let same = kernel_check_digest(check, set.table) == kernel_check_digest(check, InstructionSet.scalar.table)
            #expect(same, "\(String(cString: kernel_check_name(check)))")
        }
    }

    /// The same sources, compiled for arm64 and run by an emulator, give this processor's digests.
    @Test(.enabled(if: ArmEmulation.isHere, "clang, lld, arm64 libraries or qemu-aarch64 are missing"))
    func neonGivesTheSameBits() throws {
        let lines = try ArmEmulation.digests()
        let tables = Set(lines.map { $0.split(separator: " ")[0] })
        #expect(tables == ["scalar", "neon", "i8mm"])
        for check in 0..<kernel_check_count() {
            let name = String(cString: kernel_check_name(check))
            let digits = String(kernel_check_digest(check, leaf_kernels_best()), radix: 16)
            let expected = String(repeating: "0", count: 16 - digits.count) + digits
            for table in tables.sorted() { #expect(lines.contains("\(table) \(name) \(expected)")) }
        }
    }
}

/// Builds the kernels and their digests for arm64 and runs them under qemu.
private enum ArmEmulation {
    static let clang = find("clang"), linker = find("ld.lld"), emulator = find("qemu-aarch64")
    static let headers = "/usr/aarch64-linux-gnu/include"
    static let isHere =
        clang != nil && linker != nil && emulator != nil && FileManager.default.fileExists(atPath: headers + "/stdio.h")

    static func digests() throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let kernels = root.appendingPathComponent("Sources/CLeafKernels")
        let checks = root.appendingPathComponent("Tests/CKernelChecks")
        let program = FileManager.default.temporaryDirectory.appendingPathComponent(
            "leaf-kernels-arm-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: program) }
        let sources = try ["", "product", "scalar", "arm"].flatMap { folder in
            let folder = kernels.appendingPathComponent(folder).path
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            return names.filter { $0.hasSuffix(".c") }.map { "\(folder)/\($0)" }
        }
        _ = try output(
            of: clang!,
            [
                "--target=aarch64-linux-gnu", "-isystem", headers, "-fuse-ld=lld", "-static", "-O2", "-Wall", "-Wextra",
                "-Werror",
            ]
                + ["-I\(kernels.path)/include", "-I\(checks.path)/include"]
                + ["\(checks.path)/arm/main.c", "\(checks.path)/digest.c"] + sources + ["-lm", "-o", program.path])
        return try output(of: emulator!, ["-cpu", "max", program.path]).split(separator: "\n").map(String.init)
    }

    private static func find(_ program: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(program)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func output(of program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) failed")
        return String(decoding: data, as: UTF8.self)
    }
}
