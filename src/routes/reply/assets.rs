//! The fixed set of files that both servers send: pages, scripts and pictures.
//!
//! They are compiled into the binary, so it runs from any folder. A request chooses among them by the table of paths
//! and never names a file, so there is no path to traverse.

use crate::routes::site::Role;

/// The files that the servers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asset {
    ClientApp,
    Callback,
    ClientAppScript,
    PopupScript,
    StepsScript,
    Welcome,
    Dialog,
    DialogScript,
    Message,
    Style,
    Icon,
    Wire,
    WireStyle,
    WireScript,
    WireModel,
    WireWords,
    WireFormats,
    WirePage,
    WireList,
    WireDrawing,
    WireDetails,
    WireDifference,
    ReportScript,
    Lab,
    LabCaught,
    LabScript,
    Document,
    DocumentStyle,
}

/// Where an asset comes from, and what it is.
pub(crate) struct Source {
    /// Below the folder `www`, or the one that is given with `--www`.
    pub(crate) path: &'static str,
    /// The content that is compiled in. Pages have placeholders in it (`template.rs`).
    pub(crate) text: &'static str,
    pub(crate) media_type: &'static str,
    /// Whose policy it is sent with.
    pub(crate) role: Role,
}

pub(crate) const HTML: &str = "text/html; charset=utf-8";

impl Asset {
    /// Every asset, in the order of the variants: tables of one entry for each are indexed by `asset as usize`.
    pub(crate) const ALL: [Asset; 28] = [
        Asset::ClientApp,
        Asset::Callback,
        Asset::ClientAppScript,
        Asset::PopupScript,
        Asset::StepsScript,
        Asset::Welcome,
        Asset::Dialog,
        Asset::DialogScript,
        Asset::Message,
        Asset::Style,
        Asset::Icon,
        Asset::Wire,
        Asset::WireStyle,
        Asset::WireScript,
        Asset::WireModel,
        Asset::WireWords,
        Asset::WireFormats,
        Asset::WirePage,
        Asset::WireList,
        Asset::WireDrawing,
        Asset::WireDetails,
        Asset::WireDifference,
        Asset::ReportScript,
        Asset::Lab,
        Asset::LabCaught,
        Asset::LabScript,
        Asset::Document,
        Asset::DocumentStyle,
    ];

    /// Where it comes from, and what it is.
    pub(crate) fn source(self) -> Source {
        macro_rules! source {
            ($path:literal, $media_type:expr, $role:ident) => {
                Source {
                    path: $path,
                    text: include_str!(concat!("../../../www/", $path)),
                    media_type: $media_type,
                    role: Role::$role,
                }
            };
        }
        const SCRIPT: &str = "text/javascript; charset=utf-8";
        const STYLE: &str = "text/css; charset=utf-8";
        match self {
            Asset::ClientApp => source!("client-app/index.html", HTML, ClientApp),
            Asset::Callback => source!("client-app/oauth-callback.html", HTML, ClientApp),
            Asset::ClientAppScript => source!("client-app/client-app.js", SCRIPT, ClientApp),
            Asset::PopupScript => source!("client-app/popup.js", SCRIPT, ClientApp),
            Asset::StepsScript => source!("client-app/steps.js", SCRIPT, ClientApp),
            Asset::Welcome => source!("authorization-server/index.html", HTML, AuthorizationServer),
            Asset::Dialog => source!("authorization-server/oauth-dialog.html", HTML, AuthorizationServer),
            Asset::DialogScript => source!("authorization-server/dialog.js", SCRIPT, AuthorizationServer),
            Asset::Message => source!("authorization-server/message.html", HTML, AuthorizationServer),
            Asset::Style => source!("style.css", STYLE, AuthorizationServer),
            Asset::Icon => source!("icon.svg", "image/svg+xml", AuthorizationServer),
            Asset::Wire => source!("client-app/wire.html", HTML, ClientApp),
            Asset::WireStyle => source!("client-app/wire.css", STYLE, ClientApp),
            Asset::WireScript => source!("client-app/wire.js", SCRIPT, ClientApp),
            Asset::WireModel => source!("client-app/wire-model.js", SCRIPT, ClientApp),
            Asset::WireWords => source!("client-app/wire-words.js", SCRIPT, ClientApp),
            Asset::WireFormats => source!("client-app/wire-formats.js", SCRIPT, ClientApp),
            Asset::WirePage => source!("client-app/wire-page.js", SCRIPT, ClientApp),
            Asset::WireList => source!("client-app/wire-list.js", SCRIPT, ClientApp),
            Asset::WireDrawing => source!("client-app/wire-drawing.js", SCRIPT, ClientApp),
            Asset::WireDetails => source!("client-app/wire-details.js", SCRIPT, ClientApp),
            Asset::WireDifference => source!("client-app/wire-difference.js", SCRIPT, ClientApp),
            Asset::ReportScript => source!("client-app/report.js", SCRIPT, ClientApp),
            Asset::Lab => source!("lab/index.html", HTML, Lab),
            Asset::LabCaught => source!("lab/caught.html", HTML, Lab),
            Asset::LabScript => source!("lab/lab.js", SCRIPT, Lab),
            Asset::Document => source!("client-app/document.html", HTML, ClientApp),
            Asset::DocumentStyle => source!("client-app/document.css", STYLE, ClientApp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_stands_at_its_own_place_in_the_list() {
        for (index, asset) in Asset::ALL.into_iter().enumerate() {
            assert_eq!(asset as usize, index);
        }
    }
}
