//! The fixed set of files that both servers send: pages, scripts and pictures.
//!
//! They are compiled into the binary, so it runs from any folder. A request chooses among them by the table of paths
//! and never names a file, so there is no path to traverse.

use crate::routes::site::Role;

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
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Makes [`Asset`] from one line for each file: its name, its path, its media type, and the server whose policy it is
/// sent with. The files of a group are compiled in under its condition.
macro_rules! assets {
    ($(#[cfg($condition:meta)] { $($name:ident: $path:literal, $media_type:expr, $role:ident;)+ })+) => {
        /// The files that the servers send.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Asset {
            $($(#[cfg($condition)] $name,)+)+
        }

        impl Asset {
            /// Every asset, in the order of the variants: tables of one entry for each are indexed by `asset as usize`.
            pub(crate) const ALL: &[Asset] = &[$($(#[cfg($condition)] Asset::$name,)+)+];

            /// Where it comes from, and what it is.
            pub(crate) fn source(self) -> Source {
                match self {
                    $($(#[cfg($condition)] Asset::$name => Source {
                        path: $path,
                        text: include_str!(concat!("../../../www/", $path)),
                        media_type: $media_type,
                        role: Role::$role,
                    },)+)+
                }
            }
        }
    };
}

assets! {
    #[cfg(all())] {
        ClientApp: "client-app/index.html", HTML, ClientApp;
        Callback: "client-app/oauth-callback.html", HTML, ClientApp;
        ClientAppScript: "client-app/client-app.js", SCRIPT, ClientApp;
        PopupScript: "client-app/popup.js", SCRIPT, ClientApp;
        StepsScript: "client-app/steps.js", SCRIPT, ClientApp;
        Welcome: "authorization-server/index.html", HTML, AuthorizationServer;
        Dialog: "authorization-server/oauth-dialog.html", HTML, AuthorizationServer;
        DialogScript: "authorization-server/dialog.js", SCRIPT, AuthorizationServer;
        Message: "authorization-server/message.html", HTML, AuthorizationServer;
        Style: "style.css", STYLE, AuthorizationServer;
        Icon: "icon.svg", "image/svg+xml", AuthorizationServer;
        ReportScript: "client-app/report.js", SCRIPT, ClientApp;
    }
    #[cfg(feature = "docs")] {
        Document: "client-app/document.html", HTML, ClientApp;
        DocumentStyle: "client-app/document.css", STYLE, ClientApp;
    }
    #[cfg(feature = "wire")] {
        Wire: "client-app/wire.html", HTML, ClientApp;
        WireStyle: "client-app/wire.css", STYLE, ClientApp;
        WireScript: "client-app/wire.js", SCRIPT, ClientApp;
        WireModel: "client-app/wire-model.js", SCRIPT, ClientApp;
        WireWords: "client-app/wire-words.js", SCRIPT, ClientApp;
        WireFormats: "client-app/wire-formats.js", SCRIPT, ClientApp;
        WirePage: "client-app/wire-page.js", SCRIPT, ClientApp;
        WireList: "client-app/wire-list.js", SCRIPT, ClientApp;
        WireDrawing: "client-app/wire-drawing.js", SCRIPT, ClientApp;
        WireDetails: "client-app/wire-details.js", SCRIPT, ClientApp;
        WireDifference: "client-app/wire-difference.js", SCRIPT, ClientApp;
    }
    #[cfg(feature = "lab")] {
        Lab: "lab/index.html", HTML, Lab;
        LabCaught: "lab/caught.html", HTML, Lab;
        LabCaughtScript: "lab/caught.js", SCRIPT, Lab;
        LabScript: "lab/lab.js", SCRIPT, Lab;
        LabAttacks: "lab/attacks.js", SCRIPT, Lab;
        LabSignIn: "lab/sign-in.html", HTML, Lab;
        LabAd: "lab/ad.svg", "image/svg+xml", Lab;
        LabAdScript: "lab/ad.js", SCRIPT, Lab;
        LabShop: "lab/shop.html", HTML, Lab;
        LabShopScript: "lab/shop.js", SCRIPT, Lab;
    }
}
