// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "leafcutter-benchmarks",
    dependencies: [.package(name: "leafcutter", path: "..")],
    targets: [
        .executableTarget(
            name: "accuracy", dependencies: [.product(name: "Leafcutter", package: "leafcutter")],
            swiftSettings: [.treatAllWarnings(as: .error)])
    ])
